"""Recipes to choose from: what they do, how far they push, what they cost, where they end."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.cost_types import word_of_kl
from desktop_scope.engine.types import Mode
from desktop_scope.experiments.recipe_file import Recipe
from desktop_scope.experiments.recipes import Offer, Origin, file_name_of
from desktop_scope.gui import recipe_actions, theme
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted, number
from desktop_scope.gui.widgets.row_list import Row, RowList
from desktop_scope.wording import counted

_ALL_SHOWN = 4  # dials; of more the rest is counted
PUSH_HELP = (
    "Push: how long the added vector is, measured against what usually flows there\n"
    "(the median length of the residual stream). It tells the effect better than multiples of\n"
    "the feature’s maximum: 0.2 to 0.4 is usually seen and still fluent."
)
_FILES = "Recipes (*.json)"


class Gallery(QWidget):
    """Every recipe at the left, the chosen one at the right, and what saves the rack as another."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._chosen: Offer | None = None
        self._list = RowList("Recipes", self._row)
        self._list.chosen.connect(self._choose)
        self._list.taken.connect(self._use)
        self._details = _Details(store)
        self._name = QLineEdit(placeholderText="A name for what is in the rack")
        self._name.setAccessibleName("Name of the recipe")
        self._name.textChanged.connect(self._name_typed)
        self._about = QLineEdit(placeholderText="One plain sentence: what it does")
        self._about.setAccessibleName("What the recipe does, in one sentence")
        self._save = QPushButton("Save the rack")
        self._save.setToolTip("Keep what is in action in the rack as a recipe of your own")
        self._save.clicked.connect(self._save_rack)
        self._open = tool_button(
            "Open a file …", "Use a recipe that somebody shared; or drop it on the window"
        )
        self._open.clicked.connect(self.choose_file)
        self._lay_out()

    def _lay_out(self) -> None:
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        split.addWidget(self._list)
        split.addWidget(self._details)
        split.setSizes([340, 300])
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._name, 2)
        foot.addWidget(self._about, 3)
        foot.addWidget(self._save)
        foot.addWidget(self._open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(split, 1)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """Walk the recipes with the arrow keys."""
        self._list.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if fields & {"recipes", "model", "steering"}:
            offers = state.recipes.offers
            self._list.set_items(offers)
            if self._list.current() is None and offers:
                self._list.set_items(offers, offers[0])
            self._choose(self._list.current())
        if fields & {"rack", "model"}:
            self._name_typed()

    def _row(self, offer: Offer) -> Row:
        recipe = offer.recipe
        used = self._store.state.recipes.used
        own = f"  ·  {offer.origin}" if offer.origin is not Origin.PACK else ""
        return Row(
            title=recipe.name + own,
            about=f"{push_words(recipe)}{_cost_words(recipe)}  ·  {recipe.about}",
            trouble=offer.trouble,
            strong=used is not None and used.recipe == recipe,
            action="Use",
        )

    @Slot(object)
    def _choose(self, offer: Offer | None) -> None:
        self._chosen = offer
        self._details.show_offer(offer)

    @Slot(object)
    def _use(self, offer: Offer) -> None:
        self._store.act(recipe_actions.use, offer)

    @Slot()
    def _name_typed(self) -> None:
        rack = self._store.state.rack
        self._save.setEnabled(bool(self._name.text().strip()) and any(d.acts for d in rack))

    @Slot()
    def _save_rack(self) -> None:
        self._store.act(recipe_actions.save, self._name.text(), self._about.text())
        self._name.clear()
        self._about.clear()

    @Slot()
    def choose_file(self) -> None:
        """Let the user open a recipe."""
        path, _ = QFileDialog.getOpenFileName(self, "Open a recipe", "", _FILES)
        if path:
            self._store.act(recipe_actions.open_file, Path(path))


class _Details(QScrollArea):
    """One recipe: all that is known of it, and what it was tried on as buttons."""

    def __init__(self, store: Store) -> None:
        super().__init__(widgetResizable=True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._store = store
        self._offer: Offer | None = None
        self._name = QLabel(wordWrap=True)
        self._about = QLabel(wordWrap=True)
        self._dials = QLabel(wordWrap=True)
        self._dials.setToolTip(PUSH_HELP)
        self._cost = QLabel(wordWrap=True)
        self._limits = muted(QLabel(wordWrap=True))
        for label in (self._name, self._about, self._dials, self._cost, self._limits):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._tried = muted(QLabel("Use it, and ask:"))
        self._prompts = QVBoxLayout()
        self._prompts.setSpacing(2)
        self._share = tool_button("Share …", "Save it as a small file for others")
        self._share.clicked.connect(self._share_it)
        self._delete = tool_button("Delete", "Delete this recipe of yours")
        self._delete.clicked.connect(self._delete_it)
        buttons = QHBoxLayout()
        buttons.addWidget(self._share)
        buttons.addWidget(self._delete)
        buttons.addStretch(1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(12, 4, 8, 4)
        column.setSpacing(6)
        for widget in (self._name, self._about, self._dials, self._cost, self._limits, self._tried):
            column.addWidget(widget)
        column.addLayout(self._prompts)
        column.addLayout(buttons)
        column.addStretch(1)
        self.setWidget(content)

    def show_offer(self, offer: Offer | None) -> None:
        """Tell of a recipe; None of none."""
        self.widget().setVisible(offer is not None)
        if offer is None or offer == self._offer:
            return
        self._offer = offer
        recipe = offer.recipe
        self._name.setFont(theme.strong(theme.ui_font()))
        self._name.setText(recipe.name)
        self._about.setText(recipe.about)
        self._about.setVisible(bool(recipe.about))
        self._dials.setText(_dial_lines(offer))
        self._cost.setText(_cost_line(recipe))
        self._limits.setText("\n".join((*recipe.limits, offer.note, offer.trouble)).strip())
        self._show_prompts(recipe.prompts if not offer.trouble else ())
        self._delete.setVisible(offer.origin is Origin.OWN)

    def _show_prompts(self, prompts: tuple[str, ...]) -> None:
        while self._prompts.count():
            old = self._prompts.takeAt(0).widget()
            old.hide()
            old.deleteLater()
        for prompt in prompts:
            button = tool_button(prompt, "Put the recipe into the rack, and ask this")
            button.clicked.connect(lambda _=False, prompt=prompt: self._try(prompt))
            self._prompts.addWidget(button)
        self._tried.setVisible(bool(prompts))

    def _try(self, prompt: str) -> None:
        if self._offer is not None:
            self._store.act(recipe_actions.try_on, self._offer, prompt)

    @Slot()
    def _share_it(self) -> None:
        if self._offer is None:
            return
        name = file_name_of(self._offer.recipe.name)
        path, _ = QFileDialog.getSaveFileName(self, "Share a recipe", name, _FILES)
        if path:
            self._store.act(recipe_actions.share, self._offer.recipe, Path(path))

    @Slot()
    def _delete_it(self) -> None:
        if self._offer is not None:
            self._store.act(recipe_actions.delete, self._offer)


def push_words(recipe: Recipe) -> str:
    """``push 0.29 to 0.37``, or how many are switched off."""
    pushes = recipe.pushes
    if not pushes:
        n_off = sum(dial.mode is Mode.ABLATE for dial in recipe.dials)
        return f"{counted(n_off, 'feature')} off" if n_off else counted(len(recipe.dials), "dial")
    low, high = number(min(pushes)), number(max(pushes))
    return f"push {low}" if low == high else f"push {low} to {high}"


def _cost_words(recipe: Recipe) -> str:
    return "" if recipe.kl is None else f"  ·  KL {recipe.kl:.2f}"


def _cost_line(recipe: Recipe) -> str:
    if recipe.kl is None:
        return "What it costs was not recorded."
    return f"Cost: {word_of_kl(recipe.kl)}, KL {recipe.kl:.2f} nats per token on neutral texts."


def _dial_lines(offer: Offer) -> str:
    lines = []
    for n, dial in enumerate(offer.recipe.dials[:_ALL_SHOWN]):
        label = offer.labels[n].text if offer.labels else dial.label
        layer = dial.feature.sae.hook.split(".")[1] if dial.feature else ""
        name = f"{layer}/{dial.feature.index}" if dial.feature else "vector"
        lines.append(f"{name}  {label}  {_turn_words(dial.mode, dial.strength, dial.push)}")
    more = len(offer.recipe.dials) - len(lines)
    return "\n".join([*lines, f"and {more} more"] if more else lines)


def _turn_words(mode: Mode, strength: float, push: float) -> str:
    if mode is Mode.ADD:
        return f"×{strength:g}, push {number(push)}"
    return {Mode.ABLATE: "off", Mode.CLAMP: f"held at ×{strength:g}"}.get(
        mode, f"{mode} {strength:g}"
    )
