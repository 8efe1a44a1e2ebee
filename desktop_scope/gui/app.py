"""Starts the window, which is painted before torch and pyqtgraph are imported."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from desktop_scope import paths
from desktop_scope.engine.devices import no_collection, prepare_process
from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.requests import FollowFeature
from desktop_scope.gui import actions
from desktop_scope.gui.settings import Settings
from desktop_scope.gui.state import AppState, Message, Selection
from desktop_scope.gui.store import Store
from desktop_scope.gui.window import Window
from desktop_scope.workbench import Workbench

# What a newcomer sees: a text, and the feature of dogs at layer 17 lighting up on parts of it.
FIRST_PROMPT = Prompt("My chihuahua barks at presidents.", chat=False)
FIRST_FEATURE = FeatureId(17, 3988)
_PATIENCE_S = 3.0  # for the engine, once the window is closed
_PLOTS = "desktop_scope.gui.widgets.line_plot"


def make_window(prompt: Prompt = FIRST_PROMPT) -> Window:
    """The window on the demo pack; nothing runs until ``begin``.

    Raises:
        ScopeError: The installation is incomplete.
    """
    settings = Settings()
    settings.dress()
    state = replace(first_state(prompt), history=settings.prompts)
    window = Window(Store(state, importing_plots(Workbench().handle)), settings)
    window.focus_panel("prompt")
    return window


def importing_plots(handle: Callable[[Request, Job], Any]) -> Callable[[Request, Job], Any]:
    """Import the plots beside the first path through the layers, without which none is drawn.

    It takes 0.2 s, and happens on the lookup worker's thread; the window stays fluid.
    """

    def handle_and_import(request: Request, job: Job) -> Any:
        result = handle(request, job)
        if isinstance(request, FollowFeature) and _PLOTS not in sys.modules:
            with no_collection():
                importlib.import_module(_PLOTS)
        return result

    return handle_and_import


def first_state(prompt: Prompt = FIRST_PROMPT) -> AppState:
    """What is seen before anything was computed."""
    return AppState(
        prompt=prompt,
        selection=Selection(feature=FIRST_FEATURE if prompt == FIRST_PROMPT else None),
    )


def begin(window: Window) -> None:
    """Load the demo pack, once the window is on the screen."""
    QTimer.singleShot(0, lambda: window.store.start(workspace=Workspace((paths.demo_pack(),))))


def application() -> QApplication:
    """The one QApplication, made if need be."""
    prepare_process()
    app = QApplication.instance()
    if isinstance(app, QApplication):
        return app
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Desktop Scope")
    app.setDesktopFileName("io.github.desktopscope.DesktopScope")
    return app


def run_window() -> int:
    """Open the window and stay until it is closed."""
    app = application()
    window = make_window()
    sys.excepthook = _reporter(window.store)
    window.show()
    begin(window)
    code = app.exec()
    if not window.store.close(_PATIENCE_S):
        # Deep in an import or a file: nothing is left to save, so do not keep the user waiting.
        sys.stdout.flush()
        os._exit(code)
    return code


def _reporter(store: Store):  # type: ignore[no-untyped-def]
    """Shows a bug in the window instead of ending it."""

    def report(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        traceback.print_exception(kind, error, trace)
        message = Message(
            f"Something unexpected went wrong: {error or kind.__name__}.",
            "Please report it with the details; you can go on working.",
            "".join(traceback.format_exception(kind, error, trace)),
        )
        store.act(actions.say, message)

    return report
