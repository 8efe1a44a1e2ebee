"""What the cells of the grid are coloured by, through which lens, and how large they are."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QWidget

from desktop_scope.engine.lenses import LensKind
from desktop_scope.gui import grid_actions
from desktop_scope.gui.grid.picture import Picture
from desktop_scope.gui.grid.words import LENSES, MENU, fitted
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.grid import BY_LENS, Quantity
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.strength_legend import StrengthLegend

_LARGER = 1.6
_TIP = Qt.ItemDataRole.ToolTipRole
_NARROW = 104  # pixels of a choice that are always seen


class GridControls(QWidget):
    """One row above the grid."""

    def __init__(self, store: Store, heat: HeatMap) -> None:
        super().__init__()
        self._store = store
        self._quantity = QComboBox()
        self._quantity.setAccessibleName("What the cells are coloured by")
        for quantity, name, help_ in MENU:
            self._quantity.addItem(name, quantity)
            self._quantity.setItemData(self._quantity.count() - 1, help_, _TIP)
        self._quantity.activated.connect(self._choose)
        self._lens = QComboBox()
        self._lens.setAccessibleName("How layers are read as words")
        for kind, help_ in LENSES.items():
            self._lens.addItem(kind.value, kind)
            self._lens.setItemData(self._lens.count() - 1, help_, _TIP)
        self._lens.activated.connect(self._choose_lens)
        for box in (self._quantity, self._lens):  # a narrow window must hold them all
            box.setMinimumWidth(_NARROW)
        self._word = QLineEdit(placeholderText="a word")
        self._word.setAccessibleName("The word whose rank is shown")
        self._word.setToolTip("One token of this model, such as “Paris”; Enter looks for it")
        self._word.setFixedWidth(84)
        self._word.editingFinished.connect(self._look_for)
        self._against = QLineEdit(placeholderText="another prompt")
        self._against.setAccessibleName("The prompt that this one is compared with")
        self._against.setToolTip("Such as the same prompt with one word changed; Enter compares")
        self._against.editingFinished.connect(self._compare)
        self._legend = StrengthLegend()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self._quantity, self._lens, self._word):
            row.addWidget(widget)
        row.addWidget(self._against, 1)
        row.addStretch(1)
        row.addWidget(self._legend)
        row.addSpacing(4)
        for text, help_, run in (
            ("−", "Smaller cells (wheel, −)", lambda: heat.zoom(1 / _LARGER)),
            ("+", "Larger cells, until words fit into them (wheel, +)", lambda: heat.zoom(_LARGER)),
            ("Fit", "All layers and tokens", heat.fit),
        ):
            button = tool_button(text, help_, name=help_)
            button.clicked.connect(lambda _=False, run=run: run())
            row.addWidget(button)
        row.addWidget(heat.menu.button)
        for widget in (self._lens, self._word, self._against):  # until they are asked for
            widget.hide()

    def draw(self, state: AppState, picture: Picture) -> None:
        """Show what is chosen."""
        grid = state.grid
        with QSignalBlocker(self._quantity), QSignalBlocker(self._lens):
            self._quantity.setCurrentIndex(self._quantity.findData(grid.quantity))
            self._lens.setCurrentIndex(self._lens.findData(grid.lens))
        index = self._quantity.currentIndex()
        self._quantity.setToolTip(self._quantity.itemData(index, _TIP))
        self._lens.setToolTip(LENSES[grid.lens] + (fitted(state) if grid.lens_ready else ""))
        self._lens.setVisible(grid.quantity in BY_LENS)
        self._word.setVisible(grid.quantity is Quantity.WORD)
        self._against.setVisible(grid.quantity is Quantity.CHANGE)
        for line, text in ((self._word, grid.word), (self._against, grid.against)):
            if not line.hasFocus():
                line.setText(text)
        self._legend.set_scale(picture.scale, picture.low, picture.high)
        self._legend.setToolTip(self._quantity.toolTip())

    @Slot()
    def _choose(self) -> None:
        self._store.act(grid_actions.show, Quantity(self._quantity.currentData()))
        for line in (self._word, self._against):
            if line.isVisible():
                line.setFocus()

    @Slot()
    def _choose_lens(self) -> None:
        self._store.act(grid_actions.read_with, LensKind(self._lens.currentData()))

    @Slot()
    def _look_for(self) -> None:
        if self._word.text().strip() != self._store.state.grid.word:
            self._store.act(grid_actions.look_for, self._word.text())

    @Slot()
    def _compare(self) -> None:
        if self._against.text() != self._store.state.grid.against:
            self._store.act(grid_actions.compare_with, self._against.text())
