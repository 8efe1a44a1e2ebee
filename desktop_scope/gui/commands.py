"""Everything that can be done from a menu or the keyboard, as one table.

Menus, shortcuts and the list in the README are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QAbstractButton, QComboBox

from desktop_scope.engine.sizes import sizes
from desktop_scope.evidence.requests import Scope
from desktop_scope.evidence.types import Card
from desktop_scope.gui import (
    actions,
    chat_actions,
    discovery_actions,
    marks_actions,
    rack_actions,
    recipe_actions,
    search_actions,
    why_actions,
    zoom_actions,
)
from desktop_scope.gui.choices import DEVICES, DTYPES
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.steering import View

if TYPE_CHECKING:
    from desktop_scope.gui.window import Window


def _always(state: AppState) -> bool:
    return True


@dataclass(frozen=True)
class Command:
    """One thing to do.

    Attributes:
        id: Its name in settings and tests.
        menu: Where it stands; ``Model/Numbers`` is a menu within a menu.
        title: What it is called; ``&`` marks the letter for the keyboard.
        shortcut: Keys, in Qt's notation; empty for none.
        run: Does it.
        enabled: Whether it makes sense now.
        checked: Whether it is what is chosen now; None for what is no choice.
    """

    id: str
    menu: str
    title: str
    shortcut: str
    run: Callable[[Window], None]
    enabled: Callable[[AppState], bool] = _always
    checked: Callable[[AppState], bool] | None = None

    def line(self) -> str:
        """Title and shortcut in one line."""
        title = self.title.replace("&", "")
        return f"{title}   {self.shortcut}" if self.shortcut else title


def _act(action: Callable[..., AppState]) -> Callable[[Window], None]:
    return lambda window: window.store.act(action)


def _focus(panel: str) -> Callable[[Window], None]:
    return lambda window: window.focus_panel(panel)


def _search(scope: Scope) -> Callable[[Window], None]:
    def run(window: Window) -> None:
        window.store.act(search_actions.set_scope, scope)
        window.focus_panel("features")

    return run


def _with_card(action: Callable[..., AppState]) -> Callable[[Window], None]:
    def run(window: Window) -> None:
        card = window.store.state.card
        if card is not None:
            window.store.act(action, card.feature, card.label, card.max_active)

    return run


def _with_marks(action: Callable[[AppState, Card], AppState]) -> Callable[[Window], None]:
    def run(window: Window) -> None:
        card = window.store.state.card
        if card is not None:
            window.store.act(action, card)

    return run


def _choices(menu: str, what: str, choices: tuple[tuple[str, str, str], ...]) -> Iterator[Command]:
    """One command for each number type or device."""
    for value, title, _ in choices:
        yield Command(
            id=f"model.{what}.{value}",
            menu=menu,
            title=title.capitalize() if " " in title else title,
            shortcut="",
            run=lambda window, value=value: window.store.act(actions.compute_in, **{what: value}),
            checked=lambda state, value=value: getattr(state, what) == value,
        )  # fmt: skip


def _check_all(window: Window) -> None:
    window.store.act(actions.check, *range(len(window.store.state.saes)))


def _answer_or_stop(window: Window) -> None:
    state = window.store.state
    window.store.act(actions.stop if state.busy("generate") else actions.ask)


def _play_or_stop(window: Window) -> None:
    """Space, unless a button has the keyboard: then it is the button's."""
    focus = window.focusWidget()
    if isinstance(focus, QAbstractButton):
        focus.click()
    elif isinstance(focus, QComboBox):
        focus.showPopup()
    else:
        _answer_or_stop(window)


def _reply(window: Window) -> None:
    window.store.act(chat_actions.reply)
    window.focus_panel("prompt")


def _ask_why(window: Window) -> None:
    window.store.act(why_actions.ask_about, window.store.state.selection.token)
    window.focus_panel("why")


def _begin_anew(window: Window) -> None:
    window.store.act(chat_actions.begin_anew)
    window.focus_panel("prompt")


def _show_recipes(window: Window) -> None:
    window.store.act(recipe_actions.look)
    window.store.act(rack_actions.look_at, View.RECIPES)
    window.focus_panel("steering")


def _go_to_pin(slot: int) -> Callable[[Window], None]:
    def run(window: Window) -> None:
        pins = window.store.state.pins
        if slot < len(pins):
            window.store.act(actions.select, feature=pins[slot].feature)

    return run


def _help(page: str) -> Callable[[Window], None]:
    return lambda window: window.show_help(page)


def _has_card(state: AppState) -> bool:
    return state.card is not None


def _has_list(state: AppState) -> bool:
    return state.ranking is not None and bool(state.ranking.rows)


def _can_answer(state: AppState) -> bool:
    return state.model is not None and bool(state.prompt.text.strip())


def _steers(state: AppState) -> bool:
    return state.model is not None and bool(state.interventions)


def _has_sizes(state: AppState) -> bool:
    return bool(sizes(state.saes))


COMMANDS: tuple[Command, ...] = (
    Command("file.open", "&File", "&Open files …", "Ctrl+O",
            lambda window: window.library.choose_files()),
    Command("file.folder", "&File", "Open a &folder …", "Ctrl+Shift+O",
            lambda window: window.choose_folder()),
    Command("file.import", "&File", "&Import labels …", "", lambda window: window.choose_labels()),
    Command("file.export", "&File", "&Export your labels and notes …", "",
            lambda window: window.save_marks()),
    Command("file.vector", "&File", "Take steering along as a &vector …", "",
            lambda window: window.export_vector(), _steers),
    Command("file.model", "&File", "Take steering along as a copy of the &model …", "",
            lambda window: window.export_model(), _steers),
    Command("file.screenshot", "&File", "Save a &picture of the window …", "Ctrl+Shift+S",
            lambda window: window.save_picture()),
    Command("file.quit", "&File", "&Quit", "Ctrl+Q", lambda window: window.close()),
    Command("model.library", "&Model", "Li&brary", "Ctrl+5", _focus("library")),
    Command("model.load", "&Model", "&Load the model again", "Ctrl+R",
            _act(actions.load_again)),
    Command("model.check", "&Model", "Check the &autoencoders", "", _check_all,
            lambda state: bool(state.saes)),
    *_choices("&Model/Compute &in", "dtype", DTYPES),
    *_choices("&Model/Compute &on", "device", DEVICES),
    Command("prompt.answer", "&Prompt", "&Answer, or stop", "Ctrl+Return", _answer_or_stop,
            _can_answer),
    Command("prompt.play", "&Prompt", "Play or stop", "Space", _play_or_stop, _can_answer),
    Command("prompt.cancel", "&Prompt", "&Cancel what is running", "Esc",
            lambda window: window.store.cancel(), lambda state: bool(state.jobs)),
    Command("prompt.reply", "&Prompt", "&Reply: go on from the answer", "Ctrl+Shift+Return",
            _reply, chat_actions.can_reply),
    Command("prompt.why", "&Prompt", "Ask &why, about the chosen token", "Ctrl+Y", _ask_why,
            lambda state: state.trace is not None),
    Command("prompt.new", "&Prompt", "&New chat", "Ctrl+N", _begin_anew),
    Command("feature.search", "F&eature", "&Search features", "/", _focus("features")),
    *(
        Command(f"feature.{scope}", "F&eature", title, "", _search(scope),
                lambda state: bool(state.saes))
        for scope, title in (
            (Scope.PROMOTES, "Find what makes it say a &word"),
            (Scope.EXAMPLE, "Find what fires in a ph&rase"),
            (Scope.GIVEN, "Find what tells t&exts apart"),
        )
    ),
    Command("feature.pin", "F&eature", "&Pin or unpin", "P", _with_card(actions.toggle_pin),
            _has_card),
    Command("feature.steer", "F&eature", "S&teer", "S", _with_card(actions.add_dial), _has_card),
    Command("steering.undo", "F&eature", "&Undo in the steering rack", "Ctrl+Shift+Z",
            _act(rack_actions.undo), lambda state: bool(state.steering.undo)),
    Command("steering.redo", "F&eature", "Redo in the steering rac&k", "",
            _act(rack_actions.redo), lambda state: bool(state.steering.redo)),
    Command("steering.recipes", "F&eature", "Recipes for steering", "Ctrl+6", _show_recipes),
    Command("feature.star", "F&eature", "S&tar or unstar", "Ctrl+B", _with_marks(
            lambda state, card: marks_actions.set_starred(
                state, card.feature, not card.marks.starred)), _has_card),
    Command("feature.undo", "F&eature", "&Undo the last label, note or list", "Ctrl+Z",
            _act(marks_actions.undo), lambda state: bool(state.marks.undoable)),
    Command("feature.judge", "F&eature", "S&core all labels on held-out text", "",
            _act(marks_actions.judge), lambda state: state.opened is not None),
    Command("feature.back", "F&eature", "&Back", "Alt+Left", _act(actions.go_back),
            lambda state: bool(state.back)),
    Command("feature.forward", "F&eature", "&Forward", "Alt+Right", _act(actions.go_forward),
            lambda state: bool(state.forward)),
    Command("feature.surprise", "F&eature", "Su&rprise me", "Ctrl+J",
            _act(discovery_actions.surprise), lambda state: state.opened is not None),
    Command("feature.up", "F&eature", "Pre&vious in the list", "Alt+Up",
            lambda window: window.store.act(discovery_actions.step_list, -1), _has_list),
    Command("feature.down", "F&eature", "&Next in the list", "Alt+Down",
            lambda window: window.store.act(discovery_actions.step_list, 1), _has_list),
    Command("feature.lower", "F&eature", "Previous &by number", "Alt+PgUp",
            lambda window: window.store.act(discovery_actions.step_index, -1), _has_card),
    Command("feature.higher", "F&eature", "Next b&y number", "Alt+PgDown",
            lambda window: window.store.act(discovery_actions.step_index, 1), _has_card),
    *(
        Command(f"feature.pin{slot + 1}", "F&eature", f"Pinned feature &{slot + 1}",
                str(slot + 1), _go_to_pin(slot),
                lambda state, slot=slot: slot < len(state.pins))  # type: ignore[misc]
        for slot in range(actions.MOST_PINS)
    ),
    Command("view.palette", "&View", "&Commands by name", "Ctrl+K",
            lambda window: window.open_palette()),
    Command("view.prompt", "&View", "Go to the &prompt", "Ctrl+L", _focus("prompt")),
    Command("view.tokens", "&View", "Go to the &tokens", "Ctrl+1", _focus("tokens")),
    Command("view.layers", "&View", "Go to the &layers", "Ctrl+2", _focus("layers")),
    Command("view.steering", "&View", "Go to the &steering rack", "Ctrl+3", _focus("steering")),
    Command("view.why", "&View", "Go to &why", "", _focus("why")),
    Command("view.flow", "&View", "Go to the &flow between layers", "", _focus("flow")),
    Command("view.compare", "&View", "&Compare prompts, answers, models", "", _focus("compare")),
    Command("view.audit", "&View", "Go to the a&udit", "", _focus("audit")),
    Command("view.zoom", "&View", "Go to what each si&ze loses", "", _focus("zoom")),
    Command("view.card", "&View", "Go to the feature &card", "Ctrl+4", _focus("card")),
    Command("view.map", "&View", "Go to the &map", "Ctrl+7", _focus("map")),
    Command("view.finer", "&View", "&Finer: more features", "Ctrl+Shift+Up",
            lambda window: window.store.act(zoom_actions.step, 1), _has_sizes),
    Command("view.coarser", "&View", "C&oarser: fewer features", "Ctrl+Shift+Down",
            lambda window: window.store.act(zoom_actions.step, -1), _has_sizes),
    Command("view.dark", "&View", "&Dark or light", "Ctrl+D", lambda window: window.toggle_theme()),
    Command("view.larger", "&View", "L&arger type", "Ctrl++", lambda window: window.zoom(1)),
    Command("view.smaller", "&View", "S&maller type", "Ctrl+-", lambda window: window.zoom(-1)),
    Command("view.reset", "&View", "&Original layout", "", lambda window: window.reset_layout()),
    Command("help.panel", "&Help", "&What am I looking at?", "F1",
            lambda window: window.help_on_panel()),
    Command("help.start", "&Help", "&First steps", "", _help("start")),
    Command("help.glossary", "&Help", "&Glossary", "", _help("glossary")),
    Command("help.sources", "&Help", "&Sources", "", _help("sources")),
    Command("help.about", "&Help", "&About Desktop Scope", "", _help("about")),
)  # fmt: skip


def shortcut_table() -> str:
    """The shortcuts as a Markdown table, for the README."""
    rows = [
        f"| `{command.shortcut}` | {command.title.replace('&', '')} |"
        for command in COMMANDS
        if command.shortcut
    ]
    return "\n".join(["| Keys | What they do |", "|---|---|", *rows])
