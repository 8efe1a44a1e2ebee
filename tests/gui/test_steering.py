"""The steering laboratory as a person uses it, on the real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit, QPushButton, QToolButton

from desktop_scope.engine.types import Mode
from desktop_scope.experiments.recipe_file import read_recipe
from desktop_scope.gui import actions
from desktop_scope.gui.states.steering import View
from desktop_scope.gui.steering.gallery import Gallery
from desktop_scope.gui.widgets.row_list import RowList
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
