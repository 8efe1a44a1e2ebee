"""The window as a person uses it, on the real model."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from desktop_scope.engine.requests import LoadModel, Request
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.requests import RankBy, Scope
from desktop_scope.gui import actions, theme
from desktop_scope.gui.commands import COMMANDS, shortcut_table
from desktop_scope.gui.panels import PANELS
from desktop_scope.gui.settings import Settings
from desktop_scope.gui.steering.answers import Answers
from desktop_scope.gui.widgets.dial import Dial
from desktop_scope.gui.widgets.feature_table import FeatureTable
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.message_strip import MessageStrip
from desktop_scope.gui.widgets.palette import Palette
from desktop_scope.gui.widgets.token_view import TokenView
from desktop_scope.gui.widgets.turn_slider import TurnSlider
from desktop_scope.workbench import Workbench
from tests.gui.conftest import Handle, User, already_loaded

MOUNTAIN = FeatureId(24, 540)
Open = Callable[..., User]


def press(user: User, qtbot: QtBot, key: Qt.Key) -> None:
    qtbot.keyClick(user.window, key)


def child(user: User, kind: type[Any], panel: str) -> Any:
    return user.panel(panel).findChild(kind)


def select(user: User, feature: FeatureId) -> None:
    user.store.act(actions.select, feature=feature)
    user.settled()


def pixels(widget: QWidget) -> np.ndarray:
    image = widget.grab().toImage()
    return np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1).copy()


# ---- what is shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_panel_shows_something_in_both_themes(
    user: User, artifacts: Path, scheme: str
) -> None:
    select(user, MOUNTAIN)
    card = user.state.card
    assert card is not None
    user.store.act(actions.toggle_pin, card.feature, card.label, card.max_active)
    user.store.act(actions.add_dial, card.feature, card.label, card.max_active)
    user.store.act(actions.ask)
    user.settled()
    user.window.set_theme(scheme)  # type: ignore[arg-type]
    for panel in PANELS:
        user.window.focus_panel(panel.id)
        shown = user.panel(panel.id)
        assert shown.isVisible()
        assert shown.grab().save(str(artifacts / f"panel-{panel.id}-{scheme}.png"))
        assert len(np.unique(pixels(shown))) > 30
    assert user.window.grab().save(str(artifacts / f"window-{scheme}.png"))
    dark = pixels(user.window)[5, 5] & 0xFF
    assert (dark < 100) == (scheme == "dark")


def test_the_selected_feature_paints_the_tokens_it_fires_on(user: User) -> None:
    trace, card = user.state.trace, user.state.card
    assert trace is not None
    assert card is not None
    view = child(user, TokenView, "tokens")
    assert [view.token_text(i) for i in range(view.count())] == list(trace.texts)
    dogs = trace.acts[card.feature.sae].of(card.feature.index)
    assert dogs.max() > 0

    def green(token: int) -> int:
        part = view.viewport().grab(view.token_rect(token)).toImage()
        colors = [part.pixelColor(x, y) for x in range(part.width()) for y in range(part.height())]
        return sum(c.green() > c.red() + 30 for c in colors)

    assert green(int(dogs.argmax())) > 20
    assert green(int(np.flatnonzero((dogs == 0) & ~trace.masked)[0])) == 0


def test_the_list_is_ordered_as_chosen_and_filtered_by_density(user: User) -> None:
    for by, key in (
        (RankBy.MAXIMUM, lambda row: row.strength),
        (RankBy.TOTAL, lambda row: row.total),
    ):
        user.store.act(actions.set_filters, by=by, max_density=0.01)
        rows = user.settled().ranking.rows  # type: ignore[union-attr]
        keys = [key(row) for row in rows]
        assert keys == sorted(keys, reverse=True)
        assert max(row.density for row in rows) <= 0.01


def test_the_list_of_a_token_holds_what_fires_on_it(user: User) -> None:
    user.store.act(actions.select, token=5)
    user.store.act(actions.set_filters, scope=Scope.TOKEN, max_density=1.0)
    state = user.settled()
    assert state.trace is not None
    assert state.ranking is not None
    for row in state.ranking.rows:
        value = state.trace.acts[row.feature.sae].of(row.feature.index)[5]
        assert row.value == value > 0


# ---- what a person does


def test_typing_traces_the_text(user: User, qtbot: QtBot) -> None:
    edit = child(user, QPlainTextEdit, "prompt")
    edit.selectAll()
    qtbot.keyClicks(edit, "The cat sat")
    state = user.until(lambda s: s.trace is not None and s.trace.prompt.text == "The cat sat")
    user.settled()
    assert state.trace is not None
    assert state.trace.texts[-1] == " sat"
    assert child(user, TokenView, "tokens").token_text(3) == " sat"


def test_clicking_a_token_moves_every_panel_there(user: User, qtbot: QtBot) -> None:
    view = child(user, TokenView, "tokens")
    where = view.token_rect(4).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert user.state.selection.token == 4
    user.settled()
    assert child(user, HeatMap, "layers").current()[1] == 4
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert user.state.selection.token == 5


def test_a_cell_of_the_map_selects_its_feature_and_the_map_stays(user: User, qtbot: QtBot) -> None:
    path = user.state.path
    assert path is not None
    heat = child(user, HeatMap, "layers")
    where = heat.cell_rect(20, 4).center().toPoint()
    qtbot.mouseClick(heat, Qt.MouseButton.LeftButton, pos=where)
    assert user.state.selection.feature == path.family[20].feature
    user.settled()
    assert user.state.path is path
    assert heat.current() == (20, 4)
    qtbot.mouseDClick(heat, Qt.MouseButton.LeftButton, pos=where)
    cells = user.state.grid.cells
    assert cells is not None
    token = user.state.selection.token
    assert token is not None
    assert user.state.selection.feature == cells.at(20, token)
    user.until(lambda s: s.path is not None and s.path.feature == cells.at(20, token))


def test_back_and_forward_walk_through_what_was_looked_at(user: User) -> None:
    first = user.state.selection
    select(user, MOUNTAIN)
    user.store.act(actions.go_back)
    assert user.state.selection == first
    user.store.act(actions.go_forward)
    assert user.state.selection.feature == MOUNTAIN


def test_words_filter_the_list_and_search_all_features(user: User, qtbot: QtBot) -> None:
    words = child(user, QLineEdit, "features")
    qtbot.keyClicks(words, "dog")
    user.until(lambda s: s.filters.words == "dog")
    rows = user.settled().ranking.rows  # type: ignore[union-attr]
    assert rows
    assert all("dog" in row.label.text.lower() for row in rows)
    user.store.act(actions.set_filters, scope=Scope.ALL)
    assert len(user.settled().ranking.rows) > len(rows)  # type: ignore[union-attr]


def test_zooming_out_keeps_only_coarse_features(user: User, qtbot: QtBot) -> None:
    buttons = user.window.findChildren(QToolButton)
    coarse = next(button for button in buttons if button.text() == "256")
    qtbot.mouseClick(coarse, Qt.MouseButton.LeftButton)
    rows = user.settled().ranking.rows  # type: ignore[union-attr]
    assert rows
    assert max(row.feature.index for row in rows) < 256


def test_choosing_a_row_opens_its_card(user: User) -> None:
    table = child(user, FeatureTable, "features")
    table.setCurrentIndex(table.model().index(2, 1))
    state = user.settled()
    assert state.ranking is not None
    assert state.card is not None
    assert state.card.feature == state.ranking.rows[2].feature


def test_keys_pin_steer_and_search(user: User, qtbot: QtBot) -> None:
    child(user, TokenView, "tokens").setFocus()
    press(user, qtbot, Qt.Key.Key_P)
    assert [pin.feature for pin in user.state.pins] == [user.state.selection.feature]
    press(user, qtbot, Qt.Key.Key_S)
    assert [dial.feature for dial in user.state.rack] == [user.state.selection.feature]
    press(user, qtbot, Qt.Key.Key_Slash)
    assert child(user, QLineEdit, "features").hasFocus()
    user.settled()


def test_the_palette_finds_a_command_by_its_words(user: User, qtbot: QtBot) -> None:
    user.window.open_palette()
    words = user.window.findChild(Palette).findChild(QLineEdit)
    qtbot.keyClicks(words, "dark")
    qtbot.keyClick(words, Qt.Key.Key_Return)
    assert theme.tokens().dark
    assert not user.window.findChild(Palette).isVisible()


def test_space_presses_the_button_that_has_the_keyboard(user: User, qtbot: QtBot) -> None:
    button = next(b for b in user.panel("card").findChildren(QToolButton) if b.text() == "Pin")
    button.setFocus()
    press(user, qtbot, Qt.Key.Key_Space)
    assert user.state.pins
    assert not user.state.asked


def test_trying_a_text_of_ones_own(user: User, qtbot: QtBot) -> None:
    probe = child(user, QLineEdit, "card")
    qtbot.keyClicks(probe, "a small dog")
    state = user.until(lambda s: s.probe is not None and s.probe.text == "a small dog")
    assert state.probe is not None
    assert state.probe.values[-1] > state.probe.values[:-1].max()


# ---- answering and steering


def test_the_answer_streams_is_traced_and_can_be_steered(user: User, qtbot: QtBot) -> None:
    user.store.act(actions.set_prompt, Prompt("Who are you?"))
    user.store.act(actions.set_sampling, max_new_tokens=16)
    select(user, MOUNTAIN)
    qtbot.keyClick(child(user, QPlainTextEdit, "prompt"), Qt.Key.Key_Return,
                   Qt.KeyboardModifier.ControlModifier)  # fmt: skip
    state = user.settled()
    assert state.answer is not None
    assert state.answer.finished
    assert state.trace is not None
    assert tuple(state.trace.ids[state.trace.n_prompt :]) == state.answer.ids
    view = child(user, TokenView, "tokens")
    assert view.count() == int(state.trace.own.sum()) + (state.answer.ids[-1] in {0, 2})

    user.store.act(actions.add_dial, MOUNTAIN, state.card.label, state.card.max_active)  # type: ignore[union-attr]
    user.window.focus_panel("steering")
    plain = state.answer
    dial = child(user, Dial, "steering")
    dial.findChild(TurnSlider).setValue(34)
    state = user.until(lambda s: s.steered is not None and s.steered.finished and not s.jobs)
    assert state.rack[0].strength == pytest.approx(1.7)
    assert state.steered is not None
    assert "mountain" in state.steered.text
    assert state.answer is plain  # not computed again
    assert "mountain" not in state.answer.text  # type: ignore[union-attr]
    assert state.damage is not None
    assert state.damage.kl > 0.5
    columns = child(user, Answers, "steering").findChildren(QPlainTextEdit)
    shown = [view.toPlainText() for view in columns]
    assert [state.answer.text, state.steered.text] == shown  # type: ignore[union-attr]

    dial.findChild(QCheckBox).click()
    state = user.settled()
    assert not state.interventions
    assert state.steered is None


def test_stopping_keeps_what_was_said(user: User) -> None:
    user.store.act(actions.set_sampling, max_new_tokens=1000)
    user.store.act(actions.ask)
    user.until(lambda s: s.answer is not None and len(s.answer.ids) >= 3)
    user.panel("prompt").findChild(QPushButton).click()
    state = user.settled()
    assert not state.asked
    assert state.answer is not None
    assert 3 <= len(state.answer.ids) < 1000
    assert state.trace is not None
    assert tuple(state.trace.ids[state.trace.n_prompt :]) == state.answer.ids


def test_typing_while_it_answers_begins_anew(user: User) -> None:
    user.store.act(actions.set_sampling, max_new_tokens=1000)
    user.store.act(actions.ask)
    user.until(lambda s: s.answer is not None)
    user.store.act(actions.set_prompt, Prompt("Something else", chat=False))
    state = user.settled()
    assert state.answer is None
    assert state.trace is not None
    assert state.trace.prompt.text == "Something else"


# ---- trouble


def test_a_missing_model_is_said_and_the_window_lives_on(
    open_window: Open, workbench: Workbench, qtbot: QtBot
) -> None:
    there = threading.Event()
    real = already_loaded(workbench)

    def handle(request: Request, job: Job) -> object:
        if isinstance(request, LoadModel) and not there.is_set():
            raise ScopeError("The demo model is not on this machine yet.", "Get it.")
        return real(request, job)

    user = open_window(handle)
    user.until(lambda s: bool(s.messages))
    strip = user.window.findChild(MessageStrip)
    assert strip.isVisible()
    assert [m.message for m in strip.messages()] == ["The demo model is not on this machine yet."]
    user.store.act(actions.set_prompt, Prompt("One can still type."))
    there.set()
    user.store.act(actions.load_again)
    user.settled()
    assert not user.state.messages
    assert not strip.isVisible()


@pytest.mark.parametrize("prompt", [Prompt(""), Prompt("   ", chat=False)])
def test_an_empty_prompt_asks_for_nothing(user: User, prompt: Prompt) -> None:
    user.store.act(actions.set_prompt, prompt)
    user.store.act(actions.ask)
    assert not user.state.jobs
    assert not user.state.messages


def test_a_prompt_beyond_the_context_is_refused_in_words(user: User) -> None:
    user.store.act(actions.set_prompt, Prompt("dog " * 9000, chat=False))
    state = user.until(lambda s: bool(s.messages) and not s.busy("trace"))
    assert "8,192" in state.messages[0].text
    user.store.act(actions.set_prompt, Prompt("dog", chat=False))
    user.until(lambda s: s.trace is not None and s.trace.n_tokens == 2)
    user.settled()


def test_closing_in_mid_load_ends_cleanly(open_window: Open, qtbot: QtBot) -> None:
    loading = threading.Event()

    def handle(request: Request, job: Job) -> None:
        loading.set()
        while True:
            job.check()

    user = open_window(handle)
    qtbot.waitUntil(loading.is_set, timeout=10_000)
    user.window.close()
    assert user.store.close(5)


# ---- what everything must be


def test_the_window_is_remembered(open_window: Open, workbench: Workbench) -> None:
    handle: Handle = already_loaded(workbench)
    user = open_window(handle)
    user.settled()
    user.window.resize(1300, 760)
    user.window.set_theme("dark")
    user.window.close()
    again = open_window(handle)
    again.settled()
    # The width is bounded by the small screen of the test platform.
    assert again.window.height() == 760
    assert Settings().scheme == "dark"


def test_every_control_has_a_name_for_screen_readers(user: User) -> None:
    nameless = []
    for panel in PANELS:
        user.window.focus_panel(panel.id)
        for widget in user.window.findChildren(QWidget):
            focusable = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
            inside = isinstance(widget.parent(), QAbstractItemView) or widget.objectName()
            if widget.isVisible() and focusable and not inside:
                name = QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
                if not name.strip():
                    nameless.append(repr(widget))
    assert not nameless


def test_shortcuts_do_not_clash_and_the_readme_lists_them() -> None:
    keys = [QKeySequence(c.shortcut).toString() for c in COMMANDS if c.shortcut]
    assert len(keys) == len(set(keys))
    assert all(keys)
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert shortcut_table() in readme


def test_every_command_is_in_a_menu(user: User) -> None:
    menus = [action.menu() for action in user.window.menuBar().actions()]
    titles = set()
    while menus:
        actions_ = menus.pop().actions()
        titles |= {action.text() for action in actions_}
        menus += [action.menu() for action in actions_ if action.menu() is not None]
    assert {command.title for command in COMMANDS} <= titles
    assert not re.search(r"\bTODO\b", " ".join(titles))


def test_the_map_names_the_cell_under_the_pointer(user: User) -> None:
    heat = child(user, HeatMap, "layers")
    state = user.state
    assert state.path is not None
    member = state.path.family[3]
    assert member.label.text in heat.tooltip_text(3, 4)
    assert heat.cell_at(heat.cell_rect(3, 4).center().toPoint()) == (3, 4)
    assert heat.cell_at(QPoint(-5, -5)) == (-1, -1)


def test_pins_are_limited_and_dismissed_messages_stay_away(user: User) -> None:
    card = user.state.card
    assert card is not None
    for index in range(12):
        user.store.act(actions.toggle_pin, FeatureId(3, index), card.label, card.max_active)
    assert len(user.state.pins) == actions.MOST_PINS
    user.store.replace(replace(user.state, messages=()))
    assert not user.window.findChild(MessageStrip).isVisible()
