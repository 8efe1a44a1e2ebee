"""Own labels, notes, stars and lists in the window, and labels that say little in grey."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QLineEdit, QMenu
from pytestqt.qtbot import QtBot

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Label, Source, Trial, Verdict
from desktop_scope.gui import actions, theme
from desktop_scope.gui.card.label_box import LabelBox
from desktop_scope.gui.card.verdict_text import about_score
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.feature_table import LABEL, FeatureTable
from tests.gui.conftest import User

DOG = FeatureId(17, 3988)


def test_a_card_is_labelled_starred_listed_noted_and_undone(
    user: User, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QMenu, "popup", lambda menu, where: None)  # offscreen it would warn
    user.store.act(actions.select, feature=DOG)
    user.settled()
    box: LabelBox = user.panel("card").findChild(LabelBox)
    card = user.state.card
    assert card is not None
    shipped = card.label
    user.store.act(actions.toggle_pin, card.feature, card.label, card.max_active)

    def until_marks(ready) -> AppState:
        return user.until(
            lambda state: state.card is not None and not state.marks.changes and ready(state)
        )

    # A label of one's own is seen on the card, in the lists and on pins.
    box._rename.click()
    qtbot.keyClicks(box._label_line, "zwergspitz")
    qtbot.keyClick(box._label_line, Qt.Key.Key_Return)
    state = until_marks(lambda state: state.card.label.text == "zwergspitz")
    assert "Label your own" in box._source.text()
    assert state.pins[0].label.text == "zwergspitz"
    user.store.act(actions.set_filters, words="zwerg")
    user.until(lambda state: len(state.ranking.rows) == 1)
    table = user.panel("features").findChild(FeatureTable)
    index = table.model().index(0, LABEL)
    assert "zwergspitz" in index.data()
    # Nobody has tried it yet: it is grey.
    assert index.data(Qt.ItemDataRole.ForegroundRole) == theme.tokens().muted
    assert not box._judge.isHidden()

    box._star.click()
    until_marks(lambda state: state.card.marks.starred)
    box._choose_lists()
    (menu,) = box.findChildren(QMenu)
    line = menu.findChild(QLineEdit)
    qtbot.keyClicks(line, "pets")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    until_marks(lambda state: state.card.marks.lists == ("pets",))
    assert box._add.toolTip() == "pets"
    box._note.click()
    qtbot.keyClicks(box._note_line, "barks at presidents")
    qtbot.keyClick(box._note_line, Qt.Key.Key_Return)
    until_marks(lambda state: state.card.marks.note == "barks at presidents")
    assert box._note_text.text() == "barks at presidents"

    # A typed text is a case of its own.
    user.store.act(actions.try_text, "The puppy barks.")
    user.until(lambda state: state.probe is not None and not state.busy("probe"))
    box.trials._fires.click()
    until_marks(
        lambda state: (
            state.card.marks.trials[:1]
            == (Trial("The puppy barks.", True, float(state.probe.values.max())),)
        )
    )
    assert "should fire" in box.trials._said.text()

    # Dropped labels are imported; all is taken back, the last change first.
    path = tmp_path / "mine.csv"
    path.write_text("layer,index,label\n17,5,imported cats\n")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    user.window.dropEvent(
        QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )  # fmt: skip
    state = user.until(lambda state: bool(state.messages))
    assert state.messages[-1].text == "Imported 1."
    assert user.state.marks.undoable == "importing mine.csv"
    for _ in range(6):
        before = user.state.marks.version
        box._undo.click()
        until_marks(lambda state, before=before: state.marks.version > before)
    state = until_marks(lambda state: state.card.label == shipped)
    assert not state.marks.undoable
    assert not state.card.marks.starred
    assert not state.card.marks.note


def test_one_rule_says_what_is_grey() -> None:
    good = Label("dogs", Source.AUTOMATIC, "high", score=0.9)
    assert not good.doubtful
    assert Label("dogs", Source.AUTOMATIC, "high", score=0.55).doubtful
    assert Label("dogs", Source.CURATED, "high").doubtful
    assert not Label("no label yet", Source.NONE, "low").doubtful


def test_a_score_is_told_with_its_numbers() -> None:
    verdict = Verdict("words", fires=20, caught=15, hard=10, hard_alarms=4, silent=10, alarms=1)
    assert verdict.score == (15 / 20 + 1 - 5 / 20) / 2
    label = Label("dogs", Source.AUTOMATIC, "high", score=verdict.score)
    said = about_score(label, verdict)
    assert "15 of 20" in said
    assert "5 false alarms at 20" in said
    with_trials = verdict.with_trials([Trial("a", True, 0.0), Trial("b", True, 3.0)])
    assert (with_trials.fires, with_trials.caught) == (21, 16)
    assert (with_trials.silent, with_trials.alarms) == (11, 2)
