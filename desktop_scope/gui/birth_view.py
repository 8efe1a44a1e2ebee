"""The birth of a concept in the Flow panel: how well it can be read, layer by layer."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSignalBlocker, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.gui import actions, flow_actions
from desktop_scope.gui.naming import title
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.layer_chart import LayerChart, LayerCurve
from desktop_scope.gui.widgets.painting import muted

_CHANCE = 0.5
_HELP = (
    "Share of held-out texts judged rightly, in five parts each of which is held out once.\n"
    "Probe: a linear probe of the whole stream. Best feature: the one that tells best in the\n"
    "other parts. Shaded: 95 % interval of the probe (Wilson). Dashed: chance.\n"
    "Born where the probe is above chance and stays so at the next layer (exact binomial test,\n"
    "corrected for the number of layers). Of a feature the texts are stretches that end where\n"
    "it is strongest, against some that end where its neighbours are and it is silent."
)


class BirthView(QWidget):
    """A curve over the layers, for the selected feature or for texts of one's own."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._sides = QButtonGroup(self)
        head = QHBoxLayout()
        head.setSpacing(4)
        for n, (name, help_) in enumerate(
            (
                ("Selected feature", "Its strongest places against those of its neighbours"),
                ("Own texts", "A concept that you give examples of, one text per line"),
            )
        ):
            button = tool_button(name, help_, checkable=True)
            self._sides.addButton(button, n)
            head.addWidget(button)
        self._sides.idClicked.connect(self._side_chosen)
        self._find = QPushButton("Find its birth")
        self._find.clicked.connect(self._find_it)
        head.addWidget(self._find)
        head.addStretch(1)
        head.addWidget(muted(QLabel("judged on texts that the readers have not seen")))
        self._having, self._lacking = _box("with"), _box("without")
        for box in (self._having, self._lacking):
            box.textChanged.connect(self._typed)
        self._texts = QWidget()
        boxes = QVBoxLayout(self._texts)
        boxes.setContentsMargins(0, 0, 0, 0)
        boxes.setSpacing(4)
        boxes.addWidget(self._having)
        boxes.addWidget(self._lacking)
        self._chart = LayerChart("How well the concept can be read")
        self._chart.layer_clicked.connect(self._layer_clicked)
        body = QHBoxLayout()
        body.setSpacing(8)
        body.addWidget(self._texts, 1)
        body.addWidget(self._chart, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addLayout(body, 1)

    def render(self, state: AppState) -> None:  # type: ignore[override]
        """Draw."""
        look = state.flow.birth
        self._sides.button(int(look.own_texts)).setChecked(True)
        self._texts.setVisible(look.own_texts)
        for box, text in ((self._having, look.having), (self._lacking, look.lacking)):
            if box.toPlainText() != text:
                with QSignalBlocker(box):
                    box.setPlainText(text)
        wanted = flow_actions.birth_request(state)
        busy = state.busy("birth")
        self._find.setEnabled(wanted is not None and not busy)
        found = look.found
        self._chart.set_stale(busy or (found is not None and found.request != wanted))
        if found is None:
            self._chart.set_curves(())
            return
        curves = [LayerCurve("probe", found.probe.right, found.probe.low, found.probe.high)]
        if np.isfinite(found.single.right).any():
            single = found.single
            curves.append(LayerCurve("best feature", single.right, single.low, single.high))
        mark = None if found.born is None else (found.born, "born")
        self._chart.set_curves(curves, _CHANCE, mark)

    # ---- what a person does

    @Slot(int)
    def _side_chosen(self, n: int) -> None:
        self._store.act(flow_actions.change_birth, own_texts=bool(n))

    @Slot()
    def _typed(self) -> None:
        having, lacking = self._having.toPlainText(), self._lacking.toPlainText()
        self._store.act(flow_actions.change_birth, having=having, lacking=lacking)

    @Slot()
    def _find_it(self) -> None:
        self._store.act(flow_actions.find_birth)

    @Slot(int)
    def _layer_clicked(self, layer: int) -> None:
        """To the feature that tells best there."""
        found = self._store.state.flow.birth.found
        feature = found.features[layer] if found is not None else None
        if feature is not None:
            self._store.act(actions.select, feature=feature)


def verdict(state: AppState) -> tuple[str, str]:
    """What came of it, and on hover how."""
    found, label = state.flow.birth.found, state.flow.birth.label
    if state.busy("birth"):
        return "reading texts at every layer …", _HELP
    if found is None:
        return "At which layer can it be read for the first time? Takes some seconds.", _HELP
    whose = "Own texts"
    if found.request.feature is not None:
        name = state.name_of(found.request.feature)
        whose = name if label is None else title(label, name)
    return f"{found.verdict} {whose}.", f"{whose}\n{_HELP}"


def _box(name: str) -> QPlainTextEdit:
    box = QPlainTextEdit(tabChangesFocus=True)
    box.setPlaceholderText(f"Texts {name} the concept, one per line, eight or more")
    box.setAccessibleName(f"Texts {name} the concept")
    box.setMinimumHeight(40)
    return box
