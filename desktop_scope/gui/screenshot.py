"""Draws the window at work, without a screen."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from desktop_scope.engine.types import Prompt
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Card, Insight
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store

_PATIENCE_MS = 300_000


def save_screenshot(
    out: Path, size: tuple[int, int], theme: str, scale: float, prompt: str, chat: bool
) -> None:
    """Open the window offscreen, let it trace and answer a prompt, and save a picture.

    Raises:
        ScopeError: The model cannot be loaded, or the picture not be saved.
    """
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = str(scale)
    with tempfile.TemporaryDirectory() as settings:
        # The user's own layout and theme are neither used nor changed.
        os.environ["DESKTOP_SCOPE_CONFIG"] = settings
        _draw(out, size, theme, Prompt(prompt, chat))


def _draw(out: Path, size: tuple[int, int], theme: str, prompt: Prompt) -> None:
    from desktop_scope.gui import actions
    from desktop_scope.gui.app import application, begin, make_window

    # The offscreen platform says so at every window; it does no harm.
    qInstallMessageHandler(lambda _kind, _context, text: _print_unless_known(text))
    application()
    window = make_window(prompt)
    window.set_theme("dark" if theme == "dark" else "light")
    window.resize(*size)
    window.show()
    try:
        begin(window)
        wait_until(window.store, lambda state: state.card is not None and state.settled)
        window.store.act(actions.ask)
        wait_until(window.store, lambda state: state.settled)
        QApplication.processEvents()
        if not window.grab().save(str(out)):
            raise ScopeError(f"The picture could not be saved as {out}.", "Choose another place.")
    finally:
        window.close()
        window.store.close()


def _print_unless_known(text: str) -> None:
    if "propagateSizeHints" not in text:
        print(text, file=sys.stderr)


def wait_until(store: Store, ready: Callable[[AppState], bool]) -> None:
    """Let the window work until its state is as wished.

    Raises:
        ScopeError: It said an error, or took too long.
    """
    loop = QEventLoop()

    def look(state: AppState, _fields: object = None) -> None:
        if ready(state) or any(message.is_error for message in state.messages):
            loop.quit()

    store.changed.connect(look)
    QTimer.singleShot(_PATIENCE_MS, loop.quit)
    if not ready(store.state):
        loop.exec()
    store.changed.disconnect(look)
    errors = [message for message in store.state.messages if message.is_error]
    if errors:
        raise ScopeError(errors[0].text, errors[0].hint)
    if not ready(store.state):
        raise ScopeError("The window did not get ready in time.", "Try again.")


def save_card(out: Path, card: Card, insight: Insight, dark: bool = False) -> None:
    """Save a feature's card as a picture for slides.

    Raises:
        ScopeError: It cannot be saved there.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from desktop_scope.gui.app import application
    from desktop_scope.gui.card.image import card_image

    application()
    if not card_image(card, insight, dark).save(str(out)):
        raise ScopeError(f"The picture could not be saved as {out}.", "Choose another place.")
