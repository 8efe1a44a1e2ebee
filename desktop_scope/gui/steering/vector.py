"""A direction of one's own: from one set of texts to another, or from a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.gui import lab_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted

_FILES = "Vectors (*.safetensors *.npy *.gguf)"
_DEEP = 0.6  # share of the layers after which topics are mostly formed


class VectorView(QWidget):
    """Two small text boxes and a place in the model."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._towards = _texts("Texts to lead to, one a line", "I love this.\nWhat a lovely day!")
        self._away = _texts("Texts to lead away from, one a line", "I hate this.\nWhat a bad day!")
        self._name = QLineEdit(placeholderText="A name for it")
        self._name.setAccessibleName("Name of the vector")
        self._layer = QComboBox()
        self._layer.setAccessibleName("Layer at which it is read and added")
        self._layer.setToolTip("Where it is read, and added: the stream after this layer")
        self._make = QPushButton("Make it")
        self._make.setToolTip("The difference of the two sets’ means, as a dial of the rack")
        self._make.clicked.connect(self._make_it)
        self._file = tool_button("From a file …", "A vector in .safetensors, .npy or .gguf")
        self._file.clicked.connect(self._choose_file)
        boxes = QHBoxLayout()
        boxes.setSpacing(12)
        for title, box in (("Lead to", self._towards), ("Lead away from", self._away)):
            side = QVBoxLayout()
            side.setSpacing(2)
            side.addWidget(muted(QLabel(title)))
            side.addWidget(box, 1)
            boxes.addLayout(side, 1)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._name, 1)
        for widget in (self._layer, self._make, self._file):
            foot.addWidget(widget)
        about = muted(QLabel(wordWrap=True))
        about.setText(
            "A vector of your own: write texts that differ in one thing. The more there are, the "
            "less it is about anything else."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(about)
        column.addLayout(boxes, 1)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """Write at once."""
        self._towards.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if "model" in fields and state.model is not None:
            n_layers = state.model.n_layers
            if self._layer.count() != n_layers:
                self._layer.clear()
                for layer in range(n_layers):
                    self._layer.addItem(f"after layer {layer}", f"blocks.{layer}.hook_resid_post")
                self._layer.setCurrentIndex(int(n_layers * _DEEP))
        making = state.lab.making is not None
        self._make.setEnabled(state.model is not None and not making)
        self._make.setText("Making it …" if making else "Make it")
        self._file.setEnabled(state.model is not None and not making)

    @Slot()
    def _make_it(self) -> None:
        self._store.act(
            lab_actions.make_vector,
            self._name.text(),
            self._towards.toPlainText(),
            self._away.toPlainText(),
            self._layer.currentData(),
        )

    @Slot()
    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a vector", "", _FILES)
        if path:
            self._store.act(lab_actions.read_vector, Path(path), self._layer.currentData())


def _texts(name: str, sample: str) -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setAccessibleName(name)
    box.setPlaceholderText(f"one a line:\n{sample}")
    box.setTabChangesFocus(True)
    return box
