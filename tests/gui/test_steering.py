"""The steering laboratory as a person uses it, on the real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit, QPlainTextEdit, QPushButton, QToolButton

from desktop_scope.engine.types import Mode, Prompt, Role
from desktop_scope.experiments.recipe_file import read_recipe
from desktop_scope.gui import actions, recipe_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.steering import View
from desktop_scope.gui.steering.answers import Answers
from desktop_scope.gui.steering.gallery import Gallery
from desktop_scope.gui.widgets.chip_row import ChipRow
from desktop_scope.gui.widgets.row_list import RowList
from desktop_scope.gui.widgets.token_view import TokenView
from tests.gui.conftest import User

LEFT = Qt.MouseButton.LeftButton


def tool(user: User, text: str) -> Any:
    """The button of the steering panel that says this."""
    panel = user.panel("steering")
    buttons = [*panel.findChildren(QToolButton), *panel.findChildren(QPushButton)]
    return next(b for b in buttons if b.text() == text and b.isVisible())


def click_use(user: User, name: str) -> None:
    rows = user.panel("steering").findChild(Gallery).findChild(RowList)
    place = next(n for n, offer in enumerate(rows.items()) if offer.recipe.name == name)
    rows.scrollTo(rows.model().index(place, 0))
    QTest.mouseClick(rows.viewport(), LEFT, pos=rows.button_at(place).center())


def drop(user: User, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(QPoint(9, 9)), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier(0)
    )
    user.window.dropEvent(event)


def test_recipes_are_used_saved_shared_and_dropped(
    user: User, tmp_path: Path, monkeypatch: Any
) -> None:
    user.window.focus_panel("steering")
    tool(user, "Recipes").click()
    user.until(lambda s: bool(s.recipes.offers) and not s.jobs)
    assert user.state.steering.view is View.RECIPES

    click_use(user, "Dog mode")
    state = user.until(lambda s: s.damage is not None and not s.jobs)
    said = [(d.feature, d.strength, d.mode) for d in state.rack]
    assert said == [((10, 2517), 1.4, Mode.ADD), ((17, 3988), 1.35, Mode.ADD),
                    ((23, 1001), 1.0, Mode.ADD)]  # fmt: skip
    assert state.steering.view is View.DIALS
    assert state.damage.interventions == state.interventions  # type: ignore[union-attr]

    tool(user, "Recipes").click()
    click_use(user, "Forget space")
    state = user.until(lambda s: len(s.rack) == 24 and not s.jobs)
    assert {dial.mode for dial in state.rack} == {Mode.ABLATE}
    tool(user, "↶").click()
    assert [(d.feature, d.strength, d.mode) for d in user.state.rack] == said
    user.until(lambda s: not s.jobs)

    # One's own: saved, listed, shared, and back from the file that was shared.
    tool(user, "Recipes").click()
    name, about = user.panel("steering").findChild(Gallery).findChildren(QLineEdit)
    QTest.keyClicks(name, "My dogs")
    QTest.keyClicks(about, "Only dogs.")
    tool(user, "Save the rack").click()
    state = user.until(lambda s: any(o.recipe.name == "My dogs" for o in s.recipes.offers))
    assert name.text() == ""
    own = next(o for o in state.recipes.offers if o.recipe.name == "My dogs")
    assert own.recipe.kl == state.damage.kl  # type: ignore[union-attr]
    rows = user.panel("steering").findChild(Gallery).findChild(RowList)
    rows.set_items(state.recipes.offers, own)
    rows.chosen.emit(own)
    file = tmp_path / "for you.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    tool(user, "Share …").click()
    user.until(lambda s: file.exists() and not s.jobs)
    assert read_recipe(file).dials == own.recipe.dials
    user.store.act(actions.clear_rack)
    drop(user, file)
    state = user.until(lambda s: bool(s.rack) and not s.jobs)
    assert [(d.feature, d.strength, d.mode) for d in state.rack] == said
    assert state.workspace is not None
    assert len(state.workspace.saes) == 1  # nothing else was opened

    file.write_text('{"format": "desktop-scope-recipe/1", "name": 1}')
    drop(user, file)
    state = user.until(lambda s: any(m.is_error for m in s.messages))
    assert "is not a recipe" in state.messages[-1].text


def test_a_chat_of_three_turns_in_step_with_its_tokens_painted_as_they_come(user: User) -> None:
    user.window.focus_panel("steering")
    user.store.act(recipe_actions.look)
    state = user.until(lambda s: bool(s.recipes.offers) and not s.jobs)
    captain = next(o for o in state.recipes.offers if o.recipe.name == "Sea captain")
    user.store.act(actions.set_sampling, max_new_tokens=8)
    user.store.act(recipe_actions.use, captain)
    user.store.act(actions.select, feature=captain.features[0])
    user.settled()
    edit = user.panel("prompt").findChild(QPlainTextEdit)
    reply = next(b for b in user.panel("prompt").findChildren(QToolButton) if b.text() == "Reply")
    for turn, text in enumerate(("Who are you?", "Where do you live?", "What do you eat?")):
        if turn:
            reply.click()
            assert edit.toPlainText() == ""
        else:
            user.store.act(actions.set_prompt, Prompt(""))
        QTest.keyClicks(edit, text)
        QTest.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        state = user.until(lambda s: bool(s.steered and s.steered.finished) and not s.jobs)
    assert [t.text for t in state.prompt.turns if t.role is Role.USER] == [
        "Who are you?", "Where do you live?"]  # fmt: skip
    plain, steered = user.panel("steering").findChild(Answers).findChildren(QPlainTextEdit)
    for view, prompt, answer in (
        (plain, state.prompt, state.answer),
        (steered, state.steered_prompt, state.steered),
    ):
        assert answer.prompt == prompt  # type: ignore[union-attr]
        asked = iter(["Who are you?", "Where do you live?"])
        said = [
            f"› {next(asked)}" if turn.role is Role.USER else turn.text for turn in prompt.turns
        ]
        said += ["› What do you eat?", answer.text]  # type: ignore[union-attr]
        assert view.toPlainText() == "\n\n".join(said)
    assert state.prompt.turns[1].text != state.steered_prompt.turns[1].text
    chips = user.panel("prompt").findChild(ChipRow)
    assert chips.texts() == ("Who are you?", "Where do you live?")

    # What streams is painted before it is traced.
    user.store.act(actions.show, show_steered=True)
    user.until(lambda s: not s.jobs)
    tokens, painted = user.panel("tokens").findChild(TokenView), []

    def look(state: AppState, fields: frozenset[str]) -> None:
        if "steered" in fields and state.steered and not state.steered.finished:
            n = len(state.steered.pieces)
            painted.append([tokens._values[-n + i] for i in range(n)] if n else [])

    user.store.changed.connect(look)
    user.store.act(actions.set_sampling, seed=1, temperature=0.5, max_new_tokens=12)
    user.store.act(actions.ask)
    state = user.until(lambda s: bool(s.steered and s.steered.finished) and not s.jobs)
    assert any(any(values) for values in painted)
    assert state.trace is not None
    traced = state.trace.acts[23].of(58)[state.trace.n_prompt :]
    longest = max(painted, key=len)
    np.testing.assert_allclose(longest[:-1], traced[: len(longest) - 1], rtol=2e-3, atol=1e-3)

    # An earlier turn is changed: what came after it is gone from both columns.
    chips.chosen.emit(1)
    assert edit.toPlainText() == "Where do you live?"
    assert len(user.state.prompt.turns) == len(user.state.steered_prompt.turns) == 2
    next(
        b for b in user.panel("prompt").findChildren(QToolButton) if b.text() == "New chat"
    ).click()
    assert user.state.prompt == Prompt("")


def test_a_stop_takes_effect_within_a_token(user: User) -> None:
    user.store.act(actions.set_prompt, Prompt("Tell me a long story."))
    user.store.act(actions.set_sampling, max_new_tokens=1000)
    user.settled()
    user.store.act(actions.ask)
    user.until(lambda s: s.answer is not None and len(s.answer.ids) >= 3)
    user.store.act(actions.stop)
    shown = user.state.answer
    state = user.settled()
    assert state.answer == shown  # not even a token that was on its way
    assert shown is not None
    assert len(shown.ids) < 100
