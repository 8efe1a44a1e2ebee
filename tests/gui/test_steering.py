"""The steering laboratory as a person uses it, on the real model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTableWidget,
    QToolButton,
)

from desktop_scope.engine.cost_types import Fluency, Quiz, QuizAnswer, TextCost, Word
from desktop_scope.engine.types import FeatureId, Mode, Prompt, Role
from desktop_scope.experiments.recipe_file import read_recipe
from desktop_scope.experiments.types import (
    Control,
    ControlRow,
    Controls,
    Interval,
    Sweep,
    SweepPoint,
)
from desktop_scope.gui import actions, rack_actions, recipe_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.steering import View
from desktop_scope.gui.steering.answers import Answers
from desktop_scope.gui.steering.controls import ControlsView
from desktop_scope.gui.steering.cost import CostLine
from desktop_scope.gui.steering.gallery import Gallery
from desktop_scope.gui.steering.rack import Rack
from desktop_scope.gui.steering.rule_trial import RuleTrial
from desktop_scope.gui.steering.sweep import SweepView
from desktop_scope.gui.steering.triggers import Triggers
from desktop_scope.gui.steering.vector import VectorView
from desktop_scope.gui.widgets.chip_row import ChipRow
from desktop_scope.gui.widgets.curves import Curves
from desktop_scope.gui.widgets.row_list import RowList
from desktop_scope.gui.widgets.token_view import TokenView
from desktop_scope.gui.widgets.turn_slider import TurnSlider
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


def measured(state: AppState) -> bool:
    """The first figures of what is in the rack are there."""
    return state.damage is not None and state.damage.interventions == state.interventions


def test_recipes_are_used_saved_shared_and_dropped(
    user: User, tmp_path: Path, monkeypatch: Any
) -> None:
    user.window.focus_panel("steering")
    tool(user, "Recipes").click()
    user.until(lambda s: bool(s.recipes.offers))
    assert user.state.steering.view is View.RECIPES

    click_use(user, "Dog mode")
    state = user.until(measured)
    said = [(d.feature, d.strength, d.mode) for d in state.rack]
    assert said == [((10, 2517), 1.4, Mode.ADD), ((17, 3988), 1.35, Mode.ADD),
                    ((23, 1001), 1.0, Mode.ADD)]  # fmt: skip
    assert state.steering.view is View.DIALS

    tool(user, "Recipes").click()
    click_use(user, "Forget space")
    state = user.until(lambda s: len(s.rack) == 24)
    assert {dial.mode for dial in state.rack} == {Mode.ABLATE}
    tool(user, "↶").click()
    assert [(d.feature, d.strength, d.mode) for d in user.state.rack] == said
    user.until(measured)

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
    user.until(lambda s: file.exists() and not s.busy("save recipe"))
    assert read_recipe(file).dials == own.recipe.dials
    user.store.act(actions.clear_rack)
    drop(user, file)
    state = user.until(lambda s: bool(s.rack))
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
    state = user.until(lambda s: bool(s.recipes.offers))
    captain = next(o for o in state.recipes.offers if o.recipe.name == "Sea captain")
    user.store.act(actions.set_sampling, max_new_tokens=4)
    user.store.act(recipe_actions.use, captain)
    user.store.act(actions.select, feature=captain.features[0])
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
        state = user.until(
            lambda s: bool(s.steered and s.steered.finished) and not s.busy("generate")
        )
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
    user.settled()
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

    # A stop takes effect within a token.
    user.store.act(actions.set_prompt, Prompt("Tell me a long story."))
    user.store.act(actions.set_sampling, max_new_tokens=1000)
    user.store.act(actions.clear_rack)
    user.store.act(actions.ask)
    user.until(lambda s: s.answer is not None and len(s.answer.ids) >= 3)
    user.store.act(actions.stop)
    shown = user.state.answer
    state = user.until(lambda s: not s.jobs)
    assert state.answer == shown  # not even a token that was on its way
    assert shown is not None
    assert len(shown.ids) < 100


def sweep_of(state: AppState) -> Sweep:
    """Of effects 0, 1, 2 at costs 0, 0.2, 0.6."""

    def near(value: float) -> Interval:
        return Interval(value, value - 0.1, value + 0.1)

    points = tuple(
        SweepPoint(f, near(f), near(0), near(kl), near(0), near(0), f"answer {f}", Word.SAFE)
        for f, kl in ((0.0, 0.0), (1.0, 0.2), (2.0, 0.6))
    )
    return Sweep(state.interventions, (), ("dog",), 0.4, points, (0.0, 1.5), 1.0)


def test_what_is_tried_out_about_the_rack(user: User, artifacts: Path, monkeypatch: Any) -> None:
    dogs = FeatureId(17, 3988)
    user.window.focus_panel("steering")
    user.store.act(actions.add_dial, dogs, user.state.card.label, 40.8)  # type: ignore[union-attr]
    user.store.act(actions.change_dial, dogs, strength=0.5)
    state = user.until(measured)
    panel = user.panel("steering")
    word, figures = panel.findChild(CostLine).findChildren(QLabel)
    assert word.text() == "● safe"

    # Topics that it knows worse now are named first, what takes longer comes later.
    forgetful = replace(
        state.damage,
        near=(TextCost("texts", ("a", "b"), 0, 0.4, 9, (0.1, 0.6), ("cats", "boxing")),),
        quiz=Quiz((QuizAnswer("One and one is", ("two", "three"), 0, 0, 0),)),
        fluency=Fluency(1.2, 1.0, 0.0, 0.0, ("Woof.",)),
    )
    user.store.replace(replace(state, damage=forgetful))
    assert word.text() == "◐ strained"
    assert figures.accessibleName().startswith("worse at boxing  ·  KL")
    assert figures.accessibleName().endswith("quiz 1 → 1 of 1")
    for words in ("boxing −0.60", "Quiz of 1 short question:", "Short answers:", "Woof."):
        assert words in figures.toolTip()

    # While it is turned the cost follows as fast as it is measured; what is old is said to be.
    panel.findChild(Rack)._turn.setInterval(60_000)  # on a slow machine, too, it is one turn
    slider = panel.findChild(TurnSlider)
    slider.setValue(50)
    assert user.state.rack[0].strength == 2.5  # at once: nothing was under way
    slider.setValue(55)
    slider.setValue(60)
    assert user.state.rack[0].strength == 2.5
    assert word.text() == "…"
    assert figures.accessibleName().endswith("(a moment ago)")
    state = user.until(lambda s: s.rack[0].strength == 3.0 and measured(s))
    assert f"KL {state.damage.kl:.2f}" in figures.accessibleName()  # type: ignore[union-attr]
    tool(user, "↶").click()
    assert user.state.rack[0].strength == 0.5  # all of the turn is undone at once

    # A point of a sweep is taken at a click; its safe range is drawn on the slider.
    user.store.replace(replace(user.state, lab=replace(user.state.lab, sweep=sweep_of(user.state))))
    tool(user, "Sweep").click()
    curves = panel.findChild(Curves)
    assert curves.current() == 1  # the best one
    said = [label.text() for label in panel.findChild(SweepView).findChildren(QLabel)]
    assert any("The best strength within KL 0.4: ×0.50" in text for text in said)
    at = QPoint(round(curves.x_of(1.0)), curves.height() // 2)
    QTest.mouseClick(curves, LEFT, pos=at)
    assert user.state.rack[0].strength == pytest.approx(1.0)
    assert slider.safe() == pytest.approx((0.0, 0.75))
    curves.setFocus()
    QTest.keyClick(curves, Qt.Key.Key_Left)
    QTest.keyClick(curves, Qt.Key.Key_Return)
    assert user.state.rack[0].strength == pytest.approx(0.5)
    assert panel.grab().save(str(artifacts / "steering-sweep.png"))

    # Controls: a table, and one sentence.
    rows = tuple(
        ControlRow(control, str(control), Interval(2, 1, 3), Interval(0, 0, 0), 0.1,
                   None if control is Control.FEATURE else Interval(1, 0.5, 1.5), 5, "an answer")
        for control in Control
    )  # fmt: skip
    controls = Controls(user.state.interventions, (), ("dog",), rows, "The feature did it.")
    user.store.replace(replace(user.state, lab=replace(user.state.lab, controls=controls)))
    tool(user, "Controls").click()
    table = panel.findChild(QTableWidget)
    assert table.rowCount() == 4
    assert table.item(1, 2).text() == "1.00 (0.50 to 1.50)"
    said = [label.text() for label in panel.findChild(ControlsView).findChildren(QLabel)]
    assert "The feature did it." in said
    user.store.act(actions.change_dial, dogs, strength=0.6)
    said = [label.text() for label in panel.findChild(ControlsView).findChildren(QLabel)]
    assert any("something else" in text for text in said)

    # A rule, on the tokens and on one's own texts.
    tool(user, "Dials").click()
    tool(user, "⋯").click()
    user.store.act(rack_actions.set_ruled, dogs, True)
    user.store.act(actions.select, feature=FeatureId(23, 58))
    user.until(lambda s: s.card is not None and s.card.feature == (23, 58))
    tool(user, "Or the selected feature").click()
    triggers = user.state.rack[0].rule.triggers  # type: ignore[union-attr]
    assert [trigger.feature for trigger in triggers] == [dogs, (23, 58)]
    lines = panel.findChild(Triggers)
    lines.findChildren(QDoubleSpinBox)[-1].setValue(77)
    assert user.state.rack[0].rule.triggers[1].above == 77  # type: ignore[union-attr]
    crosses = [b for b in lines.findChildren(QToolButton) if b.text() == "×"]
    crosses[-1].click()
    assert user.state.rack[0].rule.triggers == triggers[:1]  # type: ignore[union-attr]
    user.store.act(actions.select, feature=dogs)
    trial = panel.findChild(RuleTrial)
    yes, no = trial.findChildren(QPlainTextEdit)
    yes.setPlainText("My dog is a puppy.")
    no.setPlainText("The bank is closed.\nI like tea.")
    tool(user, "Try").click()
    state = user.until(lambda s: s.lab.test is not None and s.card.feature == dogs)  # type: ignore[union-attr]
    assert (state.lab.test.precision, state.lab.test.recall) == (1.0, 1.0)  # type: ignore[union-attr]
    verdict = trial.findChild(QLabel).text()
    assert verdict.startswith("Fires on 1 of 1 where it should, on 0 of 2 others: precision 100 %")
    user.until(lambda s: not s.busy("trace"))
    assert state.trace is not None
    fired = state.trace.acts[17].of(3988) > state.rack[0].rule.triggers[0].above  # type: ignore[union-attr]
    tokens = user.panel("tokens").findChild(TokenView)
    told = ["rule of 17/3988 fires" in tokens.tooltip_text(n) for n in range(tokens.count())]
    assert any(fired)
    assert told == fired.tolist()

    # A vector of one's own.
    tool(user, "Own vector").click()
    view = panel.findChild(VectorView)
    towards, away = view.findChildren(QPlainTextEdit)
    towards.setPlainText("I love this.\nWhat a lovely day!")
    away.setPlainText("I hate this.\nWhat a bad day!")
    view.findChild(QLineEdit).setText("kinder")
    tool(user, "Make it").click()
    state = user.until(lambda s: len(s.rack) == 2 and measured(s))
    dial = state.rack[1]
    assert (dial.key, dial.vector.hook_name) == ("kinder", "blocks.18.hook_resid_post")  # type: ignore[union-attr]
    assert dial.push == pytest.approx(0.4)
    assert state.damage.kl > 0  # type: ignore[union-attr]
    file = Path("nowhere.npy")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    tool(user, "Own vector").click()
    tool(user, "From a file …").click()
    state = user.until(lambda s: any(m.is_error for m in s.messages))
    assert "nowhere.npy" in state.messages[-1].text
