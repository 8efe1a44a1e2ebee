"""Someone uses the real window, from start to end: real screen, real model, nothing prepared."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from desktop_scope.gui.app import begin, make_window
from desktop_scope.gui.widgets.dial import Dial
from desktop_scope.gui.widgets.feature_table import FeatureTable
from desktop_scope.gui.widgets.token_view import TokenView
from desktop_scope.gui.widgets.turn_slider import TurnSlider
from tests.gui.conftest import User

pytestmark = pytest.mark.xvfb


def test_a_person_looks_steers_stops_and_leaves(
    qtbot: QtBot, demo_model_dir: Path, artifacts: Path
) -> None:
    window = make_window()
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    begin(window)
    user = User(window, qtbot)
    user.settled()

    edit = user.panel("prompt").findChild(QPlainTextEdit)
    edit.setFocus()
    edit.selectAll()
    text = "My dog chased the postman"
    qtbot.keyClicks(edit, text)
    user.until(lambda s: s.trace is not None and s.trace.prompt.text == text)
    user.settled()

    tokens = user.panel("tokens").findChild(TokenView)
    dog = next(i for i in range(tokens.count()) if tokens.token_text(i) == " dog")
    qtbot.mouseClick(
        tokens.viewport(), Qt.MouseButton.LeftButton, pos=tokens.token_rect(dog).center()
    )
    assert user.state.selection.token == dog
    of_token = next(
        b for b in user.panel("features").findChildren(QToolButton) if b.text() == "“dog”"
    )
    qtbot.mouseClick(of_token, Qt.MouseButton.LeftButton)
    user.settled()

    table = user.panel("features").findChild(FeatureTable)
    row = table.visualRect(table.model().index(0, 1)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=row)
    card = user.settled().card
    assert card is not None
    assert card.feature == table.row(0).feature

    qtbot.keyClick(table, Qt.Key.Key_P)
    assert user.state.pins[0].feature == card.feature
    qtbot.keyClick(table, Qt.Key.Key_S)
    window.focus_panel("steering")
    slider = user.panel("steering").findChild(Dial).findChild(TurnSlider)
    qtbot.mouseClick(slider, Qt.MouseButton.LeftButton, pos=slider.rect().center())
    qtbot.keyClick(slider, Qt.Key.Key_PageUp)
    user.until(lambda s: bool(s.interventions) and s.damage is not None)

    length = user.state.sampling.max_new_tokens
    assert window.grab().save(str(artifacts / "real-window-before-answer.png"))
    answer = next(
        b for b in user.panel("steering").findChildren(QPushButton) if b.text() == "Answer"
    )
    qtbot.mouseClick(answer, Qt.MouseButton.LeftButton)
    user.until(lambda s: s.steered is not None and len(s.steered.ids) >= 2)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    state = user.settled()
    assert state.steered is not None
    assert 2 <= len(state.steered.ids) <= length
    assert window.screen().grabWindow(window.winId()).save(str(artifacts / "real-window.png"))

    window.close()
    assert user.store.close()
