"""Asking why in a real window, on the real model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QLabel, QPushButton

from desktop_scope.engine.questions import (
    Cause,
    ExplainAnswer,
    FeatureGraph,
    Question,
    Verification,
)
from desktop_scope.engine.types import FeatureId, Mode, Prompt, SaeInfo
from desktop_scope.experiments.graph_layout import DrawPath, draw_path
from desktop_scope.gui import actions, theme, why_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.why import WhyState
from desktop_scope.gui.why_words import check_words
from desktop_scope.gui.widgets.cause_table import MEASURED, CauseTable
from desktop_scope.gui.widgets.choice_box import ChoiceBox
from desktop_scope.gui.widgets.graph_view import GraphView
from desktop_scope.gui.widgets.scatter import Scatter
from desktop_scope.gui.widgets.sum_bars import SumBars
from tests.flow.desk import explanation

WOMEN = FeatureId(24, 1017)


def button(panel: Any, text: str) -> QPushButton:
    return next(b for b in panel.findChildren(QPushButton) if b.text().startswith(text))


def told(panel: Any) -> str:
    return " ".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def test_a_person_asks_why_checks_it_and_follows_the_path(user, qtbot, artifacts):
    window, panel = user.window, user.panel("why")
    window.focus_panel("why")

    # An empty panel teaches, with an example at one click.
    qtbot.mouseClick(button(panel, "Try:"), Qt.MouseButton.LeftButton)
    state = user.until(lambda s: s.why.is_current and bool(s.why.labels) and not s.jobs)
    assert state.prompt == why_actions.EXAMPLES[0].prompt
    assert "“she” is" in told(panel)
    assert "times as likely as “he”" in told(panel)
    assert "unexplained" in told(panel)
    table = panel.findChild(CauseTable)
    assert table.model().rowCount() == 150
    assert "women" in table.model().index(0, 2).data()
    assert table.isColumnHidden(MEASURED)

    # A row leads to its feature and its token.
    table.selectRow(0)
    state = user.settled()
    assert state.selection.feature == WOMEN
    assert state.trace.texts[state.selection.token] == "ife"

    # What was said to matter is really switched off.
    qtbot.mouseClick(button(panel, "Check it"), Qt.MouseButton.LeftButton)
    state = user.until(lambda s: s.why.verification is not None and not s.jobs)
    assert state.why.verification.pearson > 0.6
    assert not table.isColumnHidden(MEASURED)
    assert panel.findChild(Scatter).isVisible()
    assert "Correlation 0." in told(panel)
    assert "All 20 off together" in told(panel)

    # The selected ones go to the steering rack, switched off.
    qtbot.mouseClick(button(panel, "Switch off"), Qt.MouseButton.LeftButton)
    assert [(d.feature, d.mode) for d in user.state.rack] == [(WOMEN, Mode.ABLATE)]
    user.store.act(actions.clear_rack)
    window.focus_panel("why")

    # Sums by layer and token; a layer leads to its largest feature.
    panel._views.button(1).click()
    layers, tokens = panel.findChildren(SumBars)
    assert len(layers._bars.rows) == 30
    assert max(tokens._bars.rows, key=lambda row: row.effect).name == "…ife"
    assert all(0 < row.unexplained <= 1 for row in layers._bars.rows)
    layers.row_clicked.emit(29 - 20)
    assert user.settled().selection.feature.sae == 20

    # The path.
    panel._views.button(2).click()
    state = user.until(lambda s: s.why.drawing is not None and not s.jobs)
    view = panel.findChild(GraphView)
    nodes = state.why.drawing.nodes
    best = max(range(len(nodes)), key=lambda n: abs(nodes[n].effect) if nodes[n].causes else 0)
    at = view._origin + QPointF(state.why.drawing.x[best], state.why.drawing.y[best]) * view._scale
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=at.toPoint())
    assert user.settled().selection.feature == nodes[best].causes[0].feature
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=at.toPoint())
    state = user.until(lambda s: not s.jobs)
    assert state.pins[0].feature == nodes[best].causes[0].feature
    few = len(state.why.graph.causes)
    panel._path._slider.setValue(1)  # pinned features stay
    state = user.until(lambda s: s.why.share == 0.01 and not s.jobs)
    assert len(state.why.graph.causes) < few
    assert state.pins[0].feature in {c.feature for c in state.why.graph.causes}
    for scheme in ("dark", "light"):
        window.set_theme(scheme)
        assert window.grab().save(str(artifacts / f"why-{scheme}.png"))

    # Another prompt: what stands there is said to be about the old one.
    user.store.act(actions.set_prompt, Prompt("Dogs bark.", chat=False))
    assert "about another prompt" in told(panel)
    user.settled()

    # A token of the answer, and the runner-up.
    panel._views.button(0).click()
    user.store.act(actions.set_sampling, max_new_tokens=2, repetition_penalty=1.0)
    user.store.act(actions.ask)
    state = user.until(lambda s: s.trace.n_tokens > s.trace.n_prompt and not s.jobs)
    user.store.act(actions.select, token=state.trace.n_prompt + 1)
    qtbot.mouseClick(button(panel, "Ask about"), Qt.MouseButton.LeftButton)
    state = user.until(lambda s: s.why.is_current and not s.jobs)
    assert state.why.before == tuple(state.trace.ids[state.trace.n_prompt :][:1])
    assert state.why.explanation.attribution.difference > 0  # greedy took the likeliest

    # Words that are typed; equal ones are refused in plain words.
    said, other = panel.findChildren(ChoiceBox)
    other.setEditText(" nonsense")
    other.lineEdit().editingFinished.emit()
    state = user.until(lambda s: s.why.is_current and not s.jobs)
    assert state.why.instead == " nonsense"
    other.setEditText(said.currentText())
    other.lineEdit().editingFinished.emit()
    user.until(lambda s: any("the same" in m.text for m in s.messages) and not s.jobs)


# ---- widgets alone


def test_five_hundred_nodes_move_without_being_drawn_anew(qtbot):
    rng = np.random.default_rng(0)
    causes = tuple(
        Cause(FeatureId(int(rng.integers(30)), n), int(rng.integers(20)), 1.0, float(rng.normal()))
        for n in range(500)
    )
    source, target = np.sort(rng.integers(0, 520, (2, 3000)), axis=0).astype(np.int32)
    graph = FeatureGraph(
        Question(Prompt("x"), "a", "b"), 20, tuple("abcdefghijklmnopqrst"), causes,
        rng.normal(size=520).astype(np.float32), source, target,
        rng.normal(size=3000).astype(np.float32),
    )  # fmt: skip
    drawing = draw_path(DrawPath(graph, (), tuple(range(30))))
    view = GraphView()
    qtbot.addWidget(view)
    view.resize(800, 400)
    words = [node.text for node in drawing.nodes]
    view.set_drawing(drawing, words, words)
    view.grab()
    full = []
    view._paint_all, paint = (lambda *args: (full.append(1), paint(*args))), view._paint_all
    before = view._origin
    wheel = QWheelEvent(
        QPointF(10, 10), QPointF(10, 10), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    view.wheelEvent(wheel)
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(50, 50))
    for x in range(60, 120, 10):
        qtbot.mouseMove(view, QPoint(x, 60))
        view.grab()
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(120, 60))
    assert view._origin != before
    assert not full
    qtbot.waitUntil(lambda: not view._settling.isActive())
    view.grab()
    assert full
    view.fit()
    assert view.rect().contains((view._origin + view._bounds().center() * view._scale).toPoint())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signed_bars_grow_from_the_middle_in_their_colour(qtbot, qapp, scheme):
    from desktop_scope.gui.widgets.sum_bars import SumRow

    theme.apply(qapp, scheme)
    bars = SumBars("layer", "Sums")
    qtbot.addWidget(bars)
    bars.resize(400, 120)
    bars.set_rows([SumRow("0", 2.0, 0.5), SumRow("1", -2.0, 0.25, 0.3, doubtful=True)])
    image = bars._bars.grab().toImage()
    step, width = bars._bars.height_of(), image.width()
    t = theme.tokens()

    def count(row: int, colour: Any) -> int:
        y = int(step * (row + 1.5))
        return sum(image.pixelColor(x, y) == colour for x in range(width))

    assert count(0, t.blue) > 20 > count(0, t.orange)
    assert count(1, t.orange) > 20 > count(1, t.blue)
    assert count(0, t.faint) > 1.5 * count(1, t.faint)
    assert "unreliable" in bars._bars.words(1)
    theme.apply(qapp, "light")


def test_doubt_is_said_in_words():
    question = Question(Prompt("x"), " a", " b")
    found = explanation(ExplainAnswer(question))
    causes = tuple(Cause(FeatureId(0, n), 1, 1.0, float(n)) for n in range(6))

    def words(measured: list[float]) -> str:
        check = Verification(question, causes[: len(measured)], np.array(measured, np.float32), 1.0)
        why = WhyState(explanation=found, verification=check)
        sae = SaeInfo("", "x", "x", "x", 4, "x", "x", 8, 8)
        return check_words(AppState(why=why, saes=(sae,)))

    assert "Correlation 1.00" in words([0, 1, 2, 3, 4, 5])
    doubtful = words([0, 1, -2, 3, -4, 1])
    assert "Do not rely" in doubtful
    assert "Unreliable at layer 4" in doubtful
    assert "Too few points" in words([1.0])
    assert "Too few points" in words([1.0] * 6)
