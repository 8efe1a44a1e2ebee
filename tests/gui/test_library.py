"""Models and SAEs from this machine: found, opened, added, checked and corrected in the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QMenu, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from desktop_scope.engine.health import Verdict
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import Prompt
from desktop_scope.gui import doctor
from desktop_scope.gui.app import first_state
from desktop_scope.gui.card.text import as_markdown
from desktop_scope.gui.panels.library import LibraryPanel
from desktop_scope.gui.settings import Settings
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.feature_table import FeatureTable
from desktop_scope.gui.widgets.message_strip import MessageStrip
from desktop_scope.gui.widgets.row_list import RowList
from desktop_scope.gui.window import Window
from desktop_scope.workbench import Workbench
from tests.gui.conftest import User
from tests.gui.small_lab import fitted_sae, tiny_model

TINY = "org/tiny-llama"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache with a whole model, one whose weights are missing, and two SAEs."""
    folder = tmp_path / "hub"
    tiny_model(folder, TINY)
    (tiny_model(folder, "org/broken") / "model.safetensors").unlink()
    fitted_sae(folder / "models--lab--saes-a" / "snapshots" / "x", 0)
    fitted_sae(folder / "models--lab--saes-b" / "snapshots" / "x", 1)
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def sae_a(hub: Path) -> Path:
    return hub / "models--lab--saes-a" / "snapshots" / "x" / "blocks.0.hook_resid_post"


def sae_b(hub: Path) -> Path:
    return hub / "models--lab--saes-b" / "snapshots" / "x" / "blocks.1.hook_resid_post"


def model_of(hub: Path) -> Path:
    return hub / "models--org--tiny-llama" / "snapshots" / "abc"


Open = Callable[[Workspace | None], User]


@pytest.fixture
def open_on(hub: Path, qtbot: QtBot) -> Iterator[Open]:
    """Opens windows on a workspace or on nothing, with a real workbench."""
    users: list[User] = []

    def open_one(workspace: Workspace | None) -> User:
        settings = Settings()
        settings.dress()
        store = Store(first_state(Prompt("The museum opens", chat=False)), Workbench().handle)
        window = Window(store, settings)
        window.resize(1440, 900)
        with qtbot.waitExposed(window):
            window.show()
        users.append(User(window, qtbot))
        if workspace is not None:
            store.start(workspace=workspace, device="cpu")
        return users[-1]

    yield open_one
    for user in users:
        user.leave()


def quiet(state: AppState) -> bool:
    return not state.jobs


def library(user: User) -> LibraryPanel:
    panel: LibraryPanel = user.panel("library")
    return panel


def lists(user: User) -> tuple[RowList, RowList]:
    found = {rows.accessibleName(): rows for rows in library(user).findChildren(RowList)}
    return found["Models"], found["Autoencoders that go with the model"]


def titles(rows: RowList) -> list[str]:
    return [rows.row(place).title for place in range(len(rows.items()))]


def look(user: User) -> None:
    """Open the Library panel and wait until everything is listed."""
    user.window.focus_panel("library")
    user.until(lambda s: bool(s.listing.models) and quiet(s))


def click(qtbot: QtBot, rows: RowList, title: str, box: bool = False) -> None:
    place = titles(rows).index(title)
    where = rows.box_at(place).center()
    if not box:
        where = rows.visualRect(rows.model().index(place, 0)).center()
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=where)


def open_button(user: User) -> QPushButton:
    return next(b for b in library(user).findChildren(QPushButton) if b.isVisibleTo(library(user)))


def drop(user: User, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, buttons, keys)
    user.window.dragEnterEvent(enter)
    assert enter.isAccepted()
    point = QPointF(9, 9)
    user.window.dropEvent(QDropEvent(point, Qt.DropAction.CopyAction, data, buttons, keys))


def checked(n: int) -> Callable[[AppState], bool]:
    return lambda s: len(s.health) == n == len(s.saes) and quiet(s)


# ---- what is listed


def test_models_and_what_goes_with_them_are_listed_with_what_is_wrong(
    open_on: Open, qtbot: QtBot, artifacts: Path
) -> None:
    user = open_on(None)
    look(user)
    models, saes = lists(user)
    assert {TINY, "org/broken"} <= set(titles(models))
    broken = models.row(titles(models).index("org/broken"))
    assert "model.safetensors is missing" in broken.trouble
    click(qtbot, models, TINY)
    user.until(lambda s: len(s.listing.saes) == 2 and s.room is not None and quiet(s))
    assert titles(saes) == [
        "lab/saes-a/blocks.0.hook_resid_post",
        "lab/saes-b/blocks.1.hook_resid_post",
    ]
    assert "48 features" in saes.row(0).about
    assert "made for this model" in saes.row(0).about
    assert user.state.room is not None
    assert user.state.room.fits
    assert user.state.room.needed > 10_000
    assert library(user).grab().save(str(artifacts / "library.png"))
    click(qtbot, models, "org/broken")
    assert not open_button(user).isEnabled()


def test_words_leave_what_matches(open_on: Open, qtbot: QtBot) -> None:
    user = open_on(None)
    look(user)
    models, saes = lists(user)
    click(qtbot, models, TINY)
    qtbot.keyClicks(library(user).findChild(QLineEdit), "tiny saes-b")
    user.until(lambda s: s.browsing.words == "tiny saes-b" and quiet(s))
    assert titles(saes) == ["lab/saes-b/blocks.1.hook_resid_post"]
    assert titles(models) == []


def test_an_added_folder_is_searched(
    open_on: Open, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = open_on(None)
    look(user)
    other = tmp_path / "other"
    tiny_model(other, "me/mine")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(other))
    library(user).choose_folder()
    user.until(lambda s: quiet(s) and "me/mine" in titles(lists(user)[0]))
    assert user.state.shelf.folders == (other,)


# ---- opening


def test_a_model_alone_then_its_saes_one_by_one(
    open_on: Open, qtbot: QtBot, artifacts: Path
) -> None:
    user = open_on(None)
    look(user)
    models, saes = lists(user)
    click(qtbot, models, TINY)
    user.until(lambda s: len(s.listing.saes) == 2 and quiet(s))
    assert open_button(user).text() == "Open alone"
    open_button(user).click()
    state = user.until(lambda s: s.opened is not None and s.trace is not None and quiet(s))
    assert state.model is not None
    assert state.model.id == TINY
    assert state.saes == ()
    assert len(state.lens) == 3
    assert not state.messages
    for panel in ("features", "card"):
        assert any(e.isVisible() for e in user.panel(panel).findChildren(EmptyState))
    user.window.focus_panel("layers")
    assert user.window.grab().save(str(artifacts / "window-without-sae.png"))

    user.window.focus_panel("library")
    user.until(lambda s: len(s.listing.saes) == 2)
    click(qtbot, saes, "lab/saes-a/blocks.0.hook_resid_post", box=True)
    assert open_button(user).text() == "Add 1"
    open_button(user).click()
    state = user.until(checked(1))
    assert [info.layer for info in state.saes] == [0]
    click(qtbot, saes, "lab/saes-b/blocks.1.hook_resid_post", box=True)
    open_button(user).click()
    state = user.until(checked(2))
    assert [info.layer for info in state.saes] == [0, 1]
    assert [one.verdict for one in state.health] == [Verdict.GREEN] * 2
    assert saes.row(0).sign.startswith("●")
    user.window.focus_panel("layers")
    assert user.window.grab().save(str(artifacts / "window-two-saes.png"))

    user.window.focus_panel("library")
    click(qtbot, saes, "lab/saes-a/blocks.0.hook_resid_post", box=True)
    assert open_button(user).text() == "Take 1 away"
    open_button(user).click()
    assert [info.layer for info in user.until(checked(1)).saes] == [1]


def test_what_was_opened_is_found_again(open_on: Open, hub: Path, qtbot: QtBot) -> None:
    workspace = Workspace((sae_a(hub),), model_of(hub))
    user = open_on(workspace)
    user.until(checked(1))
    again = open_on(None)
    look(again)
    recent = again.state.listing.models[0]
    assert (recent.sort, recent.workspace) == ("recent", workspace)
    menu = next(m for m in again.window.findChildren(QMenu) if m.title() == "Opened &lately")
    menu.aboutToShow.emit()
    menu.actions()[0].trigger()
    assert again.until(checked(1)).workspace == workspace


# ---- dropping


def test_dropping_a_model_then_saes_then_rubbish(open_on: Open, hub: Path, tmp_path: Path) -> None:
    user = open_on(None)
    drop(user, model_of(hub))
    user.until(lambda s: s.opened is not None and quiet(s))
    drop(user, sae_b(hub) / "sae_weights.safetensors")
    state = user.until(checked(1))
    assert state.workspace == Workspace((sae_b(hub),), model_of(hub))
    drop(user, hub / "models--lab--saes-a")
    assert [info.layer for info in user.until(checked(2)).saes] == [0, 1]

    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    drop(user, notes)
    state = user.until(lambda s: bool(s.messages) and quiet(s))
    assert "notes.txt is neither a model nor an SAE" in state.messages[0].text
    assert len(state.saes) == 2  # what was open stays


def test_an_sae_for_another_model_is_refused_before_anything_is_closed(
    open_on: Open, hub: Path, tmp_path: Path
) -> None:
    user = open_on(Workspace((), model_of(hub)))
    user.until(lambda s: s.opened is not None and quiet(s))
    deep = fitted_sae(tmp_path / "deep", 0, declared=40)
    drop(user, deep)
    state = user.until(lambda s: bool(s.messages) and quiet(s))
    assert "does not go with org/tiny-llama" in state.messages[0].text
    assert state.model is not None
    assert state.trace is not None


def test_an_sae_dropped_on_nothing_opens_the_model_that_it_names(open_on: Open, hub: Path) -> None:
    user = open_on(None)
    drop(user, sae_a(hub))
    state = user.until(checked(1))
    assert state.workspace == Workspace((sae_a(hub),), model_of(hub))


# ---- the check


def test_an_sae_at_the_wrong_block_is_put_right_with_one_click(
    open_on: Open, hub: Path, tmp_path: Path, artifacts: Path
) -> None:
    wrong = fitted_sae(tmp_path / "wrong", 1, declared=2)
    user = open_on(Workspace((wrong,), model_of(hub)))
    state = user.until(checked(1))
    assert state.health[0].verdict is Verdict.RED
    assert doctor.light(state, 0) is doctor.Light.RED
    strip = user.window.findChild(MessageStrip)
    (message,) = strip.messages()
    assert message.action.text() == "Attach it at blocks.1.hook_resid_post instead"
    assert user.window.grab().save(str(artifacts / "window-red.png"))
    message.action.click()
    state = user.until(checked(1))
    look(user)
    saes = lists(user)[1]
    assert "attached at blocks.1.hook_resid_post" in saes.row(0).about
    assert saes.row(0).sign == "● fits"
    assert state.saes[0].hook_name == "blocks.1.hook_resid_post"
    assert state.health[0].verdict is Verdict.GREEN
    assert not state.messages


def test_a_feature_of_which_nothing_is_known_is_told_of_without_odd_numbers(
    open_on: Open, hub: Path
) -> None:
    user = open_on(Workspace((sae_a(hub),), model_of(hub)))
    before = user.until(lambda s: s.card is not None)
    card = before.card
    assert card is not None
    facts = as_markdown(card)
    assert "nan" not in facts
    if not before.health:
        assert "Nothing is known yet" in facts
    state = user.until(checked(1))
    assert state.card is not None
    assert state.card.density == state.card.density
    shown = " ".join(label.text() for label in user.panel("card").findChildren(QLabel))
    assert "built-in tokens" in shown
    assert "nan" not in shown
    table = user.panel("features").findChild(FeatureTable)
    cells = [
        table.model().index(row, column).data()
        for row in range(table.model().rowCount())
        for column in range(4)
    ]
    assert not any("nan" in str(cell) for cell in cells)


def test_the_header_lists_the_open_saes_with_their_lights(open_on: Open, hub: Path) -> None:
    user = open_on(Workspace((sae_a(hub), sae_b(hub)), model_of(hub)))
    user.until(checked(2))
    buttons = user.window.findChildren(QToolButton)
    button = next(b for b in buttons if b.text() == "2 SAEs ▾")
    button.menu().aboutToShow.emit()
    lines = [action.text() for action in button.menu().actions()]
    assert "blocks.0.hook_resid_post" in lines[0]
    assert "fits" in lines[0]
    assert "FVU" in lines[1]
