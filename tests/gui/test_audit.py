"""The audit panel as a person uses it, on the real model: one window, many things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from desktop_scope.experiments.audit import Where
from desktop_scope.experiments.shift import ProbeLine
from desktop_scope.gui import audit_actions
from desktop_scope.gui.states.audit import Step, Tool
from desktop_scope.gui.widgets.bias_chart import Bar, BiasChart
from desktop_scope.gui.widgets.row_list import RowList
from tests.gui.conftest import User

JOBS = "nurse\nmidwife\nnanny\nsecretary\nengineer\nplumber\nsoldier\ncarpenter"


def named(user: User, kind: type[Any], name: str) -> Any:
    """A control of the panel by its text or accessible name."""
    found = [
        one
        for one in user.panel("audit").findChildren(kind)
        if name in (one.accessibleName(), getattr(one, "text", str)())
        or (isinstance(one, QPushButton) and one.text().startswith(name))
    ]
    shown = [one for one in found if one.isVisible()]
    return (shown or found)[0]


def words(user: User) -> str:
    labels = user.panel("audit").findChildren(QLabel)
    return "\n".join(label.text() for label in labels if label.isVisible())


def test_from_a_sentence_of_ones_own_to_a_verdict(
    user: User, qtbot: QtBot, tmp_path: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.window.focus_panel("audit")
    panel = user.panel("audit")

    def click(text: str, kind: type[Any] = QPushButton) -> None:
        qtbot.mouseClick(named(user, kind, text), Qt.MouseButton.LeftButton)

    # Choose: a table that makes no sense first.
    broken = tmp_path / "broken.csv"
    broken.write_text("prompt,answer\na,b\n", "utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(broken), ""))
    click("Open a table …")
    user.until(lambda state: bool(state.messages))
    assert "no column “instead”" in user.state.messages[-1].text
    assert user.state.audit.study is None

    sentence = named(user, QLineEdit, "Sentence with {} where the words are to stand")
    qtbot.keyClicks(sentence, "I spoke to the {} yesterday, and")
    named(user, QPlainTextEdit, "Words to fill in, one a line").setPlainText(JOBS)
    qtbot.keyClicks(named(user, QLineEdit, "One answer"), "he")
    qtbot.keyClicks(named(user, QLineEdit, "The other answer"), "she")
    assert not named(user, QLineEdit, "How the model’s answer begins").isEnabled()
    named(user, QCheckBox, "as a chat; the answer begins").setChecked(False)
    click("Ask")
    user.until(lambda state: state.audit.study is not None and not state.audit.running)
    assert user.state.audit.step is Step.BIAS
    chart = named(user, BiasChart, "Scores by row")
    scores = {bar.title: bar.value for bar in chart.bars()}
    assert scores["midwife"] < 0 < scores["soldier"]
    assert "spread" in words(user)
    assert "left “she”, right “he”" in words(user)

    # Features: read and tick.
    click("Find the features")
    user.until(lambda state: not state.audit.running, timeout=120_000)
    rows = named(user, RowList, "Features by their part in the bias")
    women = next(n for n, one in enumerate(rows.items()) if one.name == "24/1017")
    assert women < 5
    box = rows.box_at(women).center()
    rows.setCurrentIndex(rows.model().index(women, 0))
    assert user.state.selection.feature == rows.items()[women].feature  # the card shows it
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=box)
    assert user.state.audit.ticked == (rows.items()[women].feature,)
    assert rows.row(women).checked
    click("Group alike", QToolButton)
    groups = [one.group for one in rows.items()]
    assert groups == sorted(groups)
    where = named(user, QComboBox, "Where to switch off")
    where.setCurrentIndex(1)
    where.activated.emit(1)
    assert user.state.audit.where is Where.WORDS

    # Result, and back and forth.
    click("Try without 1 feature")
    user.until(lambda state: not state.audit.running, timeout=120_000)
    shown = words(user)
    assert "Unproven" in shown  # there is no control in a template
    assert "there is no control" in shown
    assert "in other texts nothing is changed" in shown
    after = named(user, BiasChart, "Scores before and after, by row").bars()
    assert all(bar.after is not None for bar in after)
    out = tmp_path / "audit.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(out), ""))
    click("Save the table …")
    assert len(out.read_text("utf-8").splitlines()) == 9
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path), ""))
    click("Save the table …")
    assert "could not be saved" in user.state.messages[-1].text
    for scheme in ("light", "dark"):
        user.window.set_theme(scheme)  # type: ignore[arg-type]
        assert panel.grab().save(str(artifacts / f"panel-audit-result-{scheme}.png"))
    click("1  Choose", QToolButton)
    assert user.state.audit.step is Step.CHOOSE
    assert sentence.text() == "I spoke to the {} yesterday, and"

    # Stop and go on.
    user.store.act(audit_actions.open_table, "decimals")
    user.until(lambda state: state.audit.study.table.name == "9.11 or 9.8")  # type: ignore[union-attr]
    user.until(lambda state: bool(state.audit.study.scores))  # type: ignore[union-attr]
    click("Stop", QToolButton)
    assert not user.state.audit.running
    user.until(lambda state: not state.jobs)
    done = user.state.audit.study.progress()[0]  # type: ignore[union-attr]
    assert 0 < done < 72
    assert "stopped" in words(user)
    click("Go on", QToolButton)
    assert user.state.audit.running
    user.store.cancel()
    user.until(lambda state: not state.jobs)
    assert not user.state.audit.running

    _probe_and_concept(user, qtbot)


def _probe_and_concept(user: User, qtbot: QtBot) -> None:
    """The two other tools of the panel; that they measure rightly is tested without a window."""
    tools = named(user, QComboBox, "What to do")
    tools.setCurrentIndex(1)
    tools.activated.emit(1)
    assert user.state.audit.tool is Tool.PROBE
    qtbot.mouseClick(
        named(user, QPushButton, "Try it on built-in texts"), Qt.MouseButton.LeftButton
    )
    user.until(lambda state: state.audit.shift.study is not None)
    user.until(lambda state: state.audit.shift.study.progress()[0] > 0)  # type: ignore[union-attr]
    assert "Medicine or school?" in words(user)  # the page stays while it is worked on
    study = user.state.audit.shift.study
    assert study is not None
    user.store.cancel()
    assert not user.state.audit.shift.running
    off = user.state.audit.ticked
    lines = tuple(ProbeLine(name, 0.7, 0.8, 0.06) for name in "abcde")
    user.store.act(audit_actions.change_shift, study=replace(study, off=off, lines={off: lines}))
    assert words(user).count("6.0 %") == 5
    assert "Medicine or school?" in words(user)
    tools.setCurrentIndex(2)
    tools.activated.emit(2)
    assert "First ask, in the Why panel" in words(user)
    tools.setCurrentIndex(3)
    tools.activated.emit(3)
    texts = [named(user, QPlainTextEdit, n) for n in (
        "Texts with the concept, one a line", "Texts without it, one a line")]  # fmt: skip
    for box, thing in zip(texts, ("dog", "lamp"), strict=True):
        box.setPlainText("\n".join(f"The {thing} was number {n}." for n in range(12)))
    qtbot.mouseClick(named(user, QPushButton, "Look"), Qt.MouseButton.LeftButton)
    user.until(lambda state: state.audit.concept.found is not None)
    candidates = named(user, RowList, "Candidates")
    assert candidates.items()
    assert "held-out texts" in words(user)
    candidates.setCurrentIndex(candidates.model().index(1, 0))
    assert user.state.audit.concept.chosen == candidates.items()[1].feature
    assert user.state.selection.feature == candidates.items()[1].feature
    chart = named(user, BiasChart, "Held-out texts in which the candidate fires")
    assert len(chart.bars()) >= 4
    texts[0].setPlainText("one")
    qtbot.mouseClick(named(user, QPushButton, "Look"), Qt.MouseButton.LeftButton)
    user.until(lambda state: any("different texts" in m.text for m in state.messages))


def test_a_chart_draws_both_sides_and_what_became_of_them(qtbot: QtBot) -> None:
    chart = BiasChart("rows")
    qtbot.addWidget(chart)
    chart.resize(600, 200)
    chart.set_bars(["heading", Bar("left", -2.0), Bar("right", 1.0), Bar("changed", 2.0, -0.5)])
    chart.show()
    image = chart.viewport().grab().toImage()

    def strips(row: int) -> tuple[int, int]:
        """How many pixels of a row look orange, and how many blue."""
        rect = chart.visualRect(chart.model().index(row, 0))
        colors = [image.pixelColor(QPoint(x, rect.center().y())) for x in range(rect.width())]
        warm = sum(c.red() > c.blue() + 40 for c in colors)
        return warm, sum(c.blue() > c.red() + 40 for c in colors)

    assert strips(1)[0] > 50 > strips(1)[1] == 0
    assert 20 < strips(2)[1] < strips(1)[0]
    assert strips(2)[0] == 0
    assert strips(3)[0] > 10
    assert strips(3)[1] == 0  # before is only an outline
    assert chart.bars()[2].spoken() == "changed: 2.00 → −0.50"
    assert chart.scale() == 2.0
    chart.set_bars([])
    assert chart.scale() == 1.0
