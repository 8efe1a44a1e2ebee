"""Flow between layers, births and comparing in a real window, on the real model."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QPushButton

from desktop_scope.engine.flow_types import Way
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.gui import actions, theme
from desktop_scope.gui.states.compare import What
from desktop_scope.gui.widgets.difference_table import DifferenceTable
from desktop_scope.gui.widgets.layer_chart import LayerChart, LayerCurve
from desktop_scope.gui.widgets.ribbons import Ribbon, RibbonView

DOG = FeatureId(17, 3988)
KING = Prompt("The king sat on his throne.", chat=False)


def button(panel: Any, text: str) -> QPushButton:
    return next(b for b in panel.findChildren(QPushButton) if b.text().startswith(text))


def test_following_flow_and_comparing(user, qtbot, artifacts):
    window, store = user.window, user.store
    store.act(actions.set_prompt, Prompt("My chihuahua barks at presidents.", chat=False))
    store.act(actions.select, feature=DOG)
    user.settled()
    assert user.state.flow.flow is None  # nobody looks
    window.focus_panel("flow")
    panel = user.panel("flow")
    state = user.until(lambda s: s.flow.is_current and bool(s.flow.labels) and not s.jobs)
    view = panel.findChild(RibbonView)
    table = view.table()
    assert len(table["what"]) == len(table["share"]) > 20
    assert {"from layer 16", "to layer 18"} == {side.partition(" ·")[0] for side in table["side"]}
    assert "not explained" in table["what"]
    assert window.grab().save(str(artifacts / "flow.png"))

    qtbot.mouseClick(button(panel, "Check"), Qt.MouseButton.LeftButton)
    state = user.until(lambda s: s.flow.checked is not None and not s.jobs)
    assert "(" in view.table()["value"][0]

    # A ribbon leads to its feature, which is followed in its turn.
    first = state.flow.flow.upstream.edges[0]
    at = view._label(0, view._rows(0)[0]).center().toPoint()
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=at)
    assert user.state.selection.feature == first.feature
    state = user.until(lambda s: s.flow.is_current and not s.jobs)
    assert state.flow.question.feature == first.feature
    panel._reach.setValue(4)
    panel._way.setCurrentIndex(2)
    panel._way.activated.emit(2)
    state = user.until(lambda s: s.flow.is_current and s.flow.flow.question.reach == 4)
    assert state.flow.question.way is Way.WEIGHTS
    assert "weights" in panel._way.currentText()

    # Comparing: two prompts, token by token.
    store.act(actions.set_prompt, KING)
    window.focus_panel("compare")
    panel = user.panel("compare")
    assert not button(panel, "Compare").isEnabled()
    qtbot.keyClicks(panel._other, "The queen sat on her throne.")
    qtbot.keyClick(panel._other, Qt.Key.Key_Return)
    state = user.until(lambda s: s.compare.is_current and bool(s.compare.labels) and not s.jobs)
    rows = panel.findChild(DifferenceTable)
    assert rows.model().rowCount() == len(state.compare.found.rows) == 300
    rows.selectRow(0)
    rows.setCurrentIndex(rows.model().index(0, 1))
    assert user.settled().selection.feature == state.compare.found.rows[0].feature
    chart = panel.findChild(LayerChart)
    assert len(chart.table()["layer"]) == 30
    assert "second" in chart.words(3)
    assert "fit both alike" in panel._note.accessibleName()
    for scheme in ("dark", "light"):
        window.set_theme(scheme)
        assert window.grab().save(str(artifacts / f"compare-{scheme}.png"))
    panel._whats.button(2).click()
    state = user.until(lambda s: s.compare.room is not None and not s.jobs)
    assert state.compare.what is What.MODELS
    assert "GB are free" in panel._note.accessibleName()
    assert state.compare.beside is None


# ---- widgets alone


def test_ribbons_are_as_wide_as_their_shares_and_never_lie_over_each_other(qtbot, qapp):
    theme.apply(qapp, "light")
    view = RibbonView("Flow")
    qtbot.addWidget(view)
    left = [Ribbon("a", 0.6, "+6", "", negative=False), Ribbon("b", 0.3, "−3", "", negative=True),
            Ribbon("rest", 0.1, "+10 %", "", grey=True)]  # fmt: skip
    for size in ((700, 300), (320, 150)):
        view.resize(*size)
        view.set_ribbons("middle", ("from", "to"), left, [], ("", "nothing comes after it"))
        rows, ends = view._rows(0), view._ends(0)
        assert all(a.bottom() < b.top() for a, b in itertools.pairwise(rows))
        assert all(abs(a.bottom() - b.top()) < 0.01 for a, b in itertools.pairwise(ends))
        assert rows[-1].bottom() < view.height()
        heights = np.array([row.height() for row in rows])
        np.testing.assert_allclose(heights[:2] / heights[0], [1, 0.5], rtol=0.01)
        image = view.grab().toImage()
        colors = [image.pixelColor(row.center().toPoint()) for row in rows]
        t = theme.tokens()
        assert colors == [t.blue, t.orange, t.faint]
    chosen = []
    view.ribbon_chosen.connect(lambda side, place: chosen.append((side, place)))
    for row in rows:
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=row.center().toPoint())
    assert chosen == [(0, 0), (0, 1)]  # the remainder is no feature
    qtbot.keyClick(view, Qt.Key.Key_Left)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert chosen[-1] == (0, 1)
    assert view.ribbon_at(QPointF(-5, -5)) is None


def test_a_chart_of_layers_says_what_it_draws(qtbot):
    chart = LayerChart("Readable")
    qtbot.addWidget(chart)
    chart.resize(300, 200)
    values = np.array([0.5, np.nan, 0.9], np.float32)
    chart.set_curves([LayerCurve("probe", values, values - 0.1, values + 0.05)], 0.5, (2, "born"))
    assert chart.words(2) == "layer 2\nprobe: 90 % (95 %: 80 % to 95 %)"
    assert list(chart.table()) == ["layer", "probe", "probe, low", "probe, high"]
    clicked = []
    chart.layer_clicked.connect(clicked.append)
    at = chart._point(2, 0.7).toPoint()
    qtbot.mouseClick(chart, Qt.MouseButton.LeftButton, pos=at)
    assert clicked == [2]
    assert not chart.grab().isNull()
