"""Turning the objective in the window; one window for all of it."""

from __future__ import annotations

import csv

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QTableView, QToolButton

from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import actions
from desktop_scope.gui.widgets.loss_chart import LossChart
from desktop_scope.gui.widgets.tree_rows import TreeRows

ANIMALS, DOG = FeatureId(10, 40), FeatureId(10, 2517)


def test_a_person_zooms_out_meets_the_family_and_sees_what_is_lost(user, qtbot, tmp_path):
    user.store.act(actions.select, feature=DOG)
    user.until(lambda s: s.zoom.family is not None and s.zoom.family.feature == DOG)
    user.settled()

    # Zooming out leads to the ancestor, says so, and asks for no pass.
    trace = user.state.trace
    coarse = next(b for b in user.window.findChildren(QToolButton) if b.text() == "256")
    qtbot.mouseClick(coarse, Qt.MouseButton.LeftButton)
    state = user.settled()
    assert state.selection.feature == ANIMALS
    assert state.trace is trace
    notes = [label.text() for label in user.panel("card").findChildren(QLabel)]
    assert any("Stands for 10/2517" in note for note in notes)
    assert max(row.feature.index for row in state.ranking.rows) < 256
    assert {member.feature.index < 256 for member in state.path.family} == {True}

    # The tree opens in place, and a click goes to a child.
    tree: TreeRows = user.panel("card").findChild(TreeRows)
    user.until(lambda s: s.zoom.family.feature == ANIMALS)
    family = user.state.zoom.family
    assert len(tree.rows()) == 1 + len(family.branches[ANIMALS].kin)
    assert tree.table()["cosine with parent"][1:] == [
        k.cosine for k in family.branches[ANIMALS].kin
    ]
    child = family.branches[ANIMALS].kin[0].feature
    where = tree.row_rect(1).center().toPoint()
    qtbot.mouseClick(tree, Qt.MouseButton.LeftButton, pos=QPoint(tree.width() // 2, where.y()))
    assert user.state.selection.feature == child
    user.settled()

    # What each size loses, measured once somebody looks; a click on the chart chooses a size.
    assert not user.state.zoom.losses
    user.window.focus_panel("zoom")
    user.until(lambda s: bool(s.zoom.of_text(s.trace)))
    chart: LossChart = user.panel("zoom").findChild(LossChart)
    (site,) = user.state.zoom.losses
    assert "FVU" in chart.words(0)
    assert list(chart.table()["FVU"]) == [loss.fvu for loss in site.sizes]
    table: QTableView = user.panel("zoom").findChild(QTableView)
    assert table.model().rowCount() == 3
    at = QPoint(round(chart.x_of(0, 1)), chart.height() // 2)
    qtbot.mouseClick(chart, Qt.MouseButton.LeftButton, pos=at)
    assert user.state.zoom.size == 1024
    for plot, name in ((chart, "losses"), (tree, "family")):
        for ending in ("csv", "png", "svg"):
            plot.menu.save(tmp_path / f"{name}.{ending}", ending)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (tmp_path / f"{name}.svg").read_bytes()
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text("utf-8").splitlines()))
    assert [row["features"] for row in rows] == ["256", "1,024", "4,096"]
    user.window.focus_panel("layers")
    user.until(lambda s: not s.zoom.looked_at)
