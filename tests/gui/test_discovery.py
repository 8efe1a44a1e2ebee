"""Discovery in the window: a stroll, the map, the card to take along, levers and whole answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QListWidget
from pytestqt.qtbot import QtBot

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.mapping.types import Region
from desktop_scope.evidence.types import CoFiring, Label, Source
from desktop_scope.experiments.answer_types import AnswerScore
from desktop_scope.experiments.types import Interval
from desktop_scope.gui import actions, discovery_actions, theme
from desktop_scope.gui.card.image import HEIGHT, WIDTH, card_image
from desktop_scope.gui.card.relations import Relations
from desktop_scope.gui.card.sharing import ShareButton
from desktop_scope.gui.card.text import answer_line, as_markdown, role
from desktop_scope.gui.widgets.bar_list import BarList
from desktop_scope.gui.widgets.point_map import PointMap
from tests.gui.conftest import User

MOUNTAIN = FeatureId(24, 540)


def test_wandering(user: User, qtbot: QtBot, artifacts: Path, monkeypatch) -> None:
    """One window, many things: opening one takes seconds."""
    start = user.state.selection.feature
    assert start is not None
    # To the next ones by number and in the list, with keys.
    qtbot.keyClick(user.window, Qt.Key.Key_PageDown, Qt.KeyboardModifier.AltModifier)
    assert user.state.selection.feature == FeatureId(start.sae, start.index + 1)
    qtbot.keyClick(user.window, Qt.Key.Key_PageUp, Qt.KeyboardModifier.AltModifier)
    assert user.state.selection.feature == start
    rows = user.settled().ranking.rows  # type: ignore[union-attr]
    user.store.act(actions.select, feature=rows[1].feature)
    qtbot.keyClick(user.window, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert user.state.selection.feature == rows[2].feature
    user.store.act(discovery_actions.step_list, -5)
    assert user.state.selection.feature == rows[0].feature

    # A surprise leads to another feature, and Back leads back.
    user.settled()
    user.store.act(discovery_actions.surprise)
    state = user.until(lambda s: s.discovery.shown == 1)
    assert state.selection.feature == state.discovery.seen[-1] != rows[0].feature
    user.store.act(actions.go_back)
    assert user.state.selection.feature == rows[0].feature

    # The map.
    user.store.act(actions.select, feature=MOUNTAIN)
    user.window.focus_panel("map")
    state = user.until(lambda s: s.map.map is not None and bool(s.map.nearby) and not s.jobs)
    plane = user.panel("map").findChild(PointMap)
    assert plane.chosen() == state.map.map.place(MOUNTAIN)  # type: ignore[union-attr]
    plane.look_at(plane.chosen(), 300)
    there = plane.place_of(plane.chosen())
    assert plane.point_at(there) == plane.chosen()
    near = state.map.map.place(state.map.nearby[0].feature)  # type: ignore[union-attr]
    plane.look_at(near, 2000)
    qtbot.mouseClick(plane, Qt.MouseButton.LeftButton, pos=plane.place_of(near).toPoint())
    assert user.state.selection.feature == state.map.nearby[0].feature
    user.settled()
    listed = user.panel("map").findChild(QListWidget)
    assert listed.count() == len(user.state.map.nearby) > 3
    listed.itemClicked.emit(listed.item(1))
    assert user.state.selection.feature == user.state.map.nearby[1].feature
    assert user.panel("map").grab().save(str(artifacts / "map.png"))

    # The card, to be taken along.
    user.store.act(actions.select, feature=MOUNTAIN)
    card = user.settled().card
    insight = user.state.discovery.insight
    assert card is not None
    assert insight is not None
    assert role(card, insight).lower().endswith("lever")
    share = user.panel("card").findChild(ShareButton)
    share.give("markdown", card, insight)
    text = QGuiApplication.clipboard().text()
    assert text == as_markdown(card, insight)
    assert text.startswith(f"## {card.label.text}")
    assert f"`{card.promotes[0].text}`" in text
    examples = [line for line in text.splitlines() if line.startswith("- 1")]
    assert any("**mountain**" in line for line in examples)
    out = artifacts / "card-image.png"
    monkeypatch.setattr(share, "ask_path", lambda card: str(out))
    assert share.give("light", card, insight)
    image = QImage(str(out))
    assert (image.width(), image.height()) == (WIDTH, HEIGHT)
    assert _inks(image) > 500
    assert _inks(card_image(card, insight, dark=True)) > 500


def _inks(image: QImage) -> int:
    """How many colours there are."""
    data = np.frombuffer(image.convertToFormat(QImage.Format.Format_RGB32).constBits(), np.uint32)
    return len(np.unique(data))


def test_points_are_drawn_where_they_are_found(qtbot: QtBot) -> None:
    plane = PointMap()
    qtbot.addWidget(plane)
    plane.resize(400, 300)
    points = np.random.default_rng(0).random((5000, 2)).astype(np.float32)
    red = np.full(len(points), 0xFFFF0000, np.uint32)
    plane.set_points(points, red, [Region(2, 0.5, 0.5, "dogs", 3.0)])
    for point in (3, 999):
        plane.look_at(point, 80)
        at = plane.place_of(point)
        assert (at.x(), at.y()) == pytest.approx((200, 150), abs=0.1)
        image = plane.grab().toImage()
        assert image.pixelColor(at.toPoint()).red() == 255
        assert plane.point_at(at) == point
        assert plane.point_at(QPointF(-500, -500)) == -1
    before = plane._on_map(QPointF(50, 60))
    plane.zoom_at(QPointF(50, 60), 2)
    assert plane._on_map(QPointF(50, 60)) == pytest.approx(before)
    plane.zoom_at(QPointF(50, 60), 1e-9)
    assert plane.zoom == 1
    moved = []
    plane.point_chosen.connect(moved.append)
    plane.set_chosen(3)
    qtbot.keyClick(plane, Qt.Key.Key_Right)
    assert points[moved[0], 0] > points[3, 0]
    plane.set_points(points[:0], red[:0])
    assert plane.point_at(QPointF(10, 10)) == -1
    plane.grab()


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_layers_are_told_apart_without_seeing_colours(
    tokens: theme.Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theme._theme, "tokens", tokens)
    colors = theme.order_rgb(np.linspace(0, 1, 5)).astype(float)
    assert (np.diff(colors @ (0.2126, 0.7152, 0.0722)) > 8).all()


def test_what_fires_together_is_listed(user: User, qtbot: QtBot) -> None:
    card = user.state.card
    assert card is not None
    mate = CoFiring(MOUNTAIN, "24/540", Label("ranges", Source.OWN, "high"), 0.4, 50, 40, 90, 0.6)
    relations = Relations()
    qtbot.addWidget(relations)
    relations.set_card(replace(card, cofiring=(mate,), cofiring_tokens=1000))
    together = relations.findChildren(BarList)[0]
    assert [text for text, _ in together.rows().rows] == ["ranges  ·  24/540"]
    with qtbot.waitSignal(relations.feature_chosen) as chosen:
        together.row_clicked.emit(0)
    assert chosen.args == [MOUNTAIN]
    assert "40 of 90 times" in as_markdown(replace(card, cofiring=(mate,), cofiring_tokens=1000))


def test_whole_answers_are_told_in_words() -> None:
    score = AnswerScore(
        MOUNTAIN, 0.4, ("mountain",), 0.012, 0.041, 0.003, Interval(0.029, 0.008, 0.05),
        Interval(0.038, 0.017, 0.06), ("Who?",), (("a",), ("b",), ("c",)),
    )  # fmt: skip
    line = answer_line(score)
    assert score.moves
    assert "4.1 of 100 words" in line
    assert "1.7 to 6.0" in line
