"""A row of small buttons, one for each of some texts; it scrolls where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QToolButton, QWidget

from desktop_scope.gui.widgets.buttons import tool_button

_MOST_PX = 180


class ChipRow(QScrollArea):
    """Texts as buttons, shortened; the last one is in sight.

    Signals:
        chosen: The user pressed the button of this number.
    """

    chosen = Signal(int)

    def __init__(self, name: str, help_: str) -> None:
        super().__init__(widgetResizable=True)
        self._help = help_
        self._texts: tuple[str, ...] = ()
        self._chips: list[QToolButton] = []
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        row = QWidget()
        self._row = QHBoxLayout(row)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addStretch(1)
        self.setWidget(row)
        self.horizontalScrollBar().rangeChanged.connect(self._to_the_end)
        self._fit()

    def set_texts(self, texts: Sequence[str]) -> None:
        """Show these."""
        if tuple(texts) == self._texts:
            return
        self._texts = tuple(texts)
        for chip in self._chips:
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self._chips = []
        for number, text in enumerate(self._texts):
            line = f"{number + 1}  {' '.join(text.split())}"
            short = self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, _MOST_PX)
            chip = tool_button(short.replace("&", "&&"), f"{text}\n\n{self._help}", name=line)
            chip.clicked.connect(lambda _=False, number=number: self.chosen.emit(number))
            chip.installEventFilter(self)
            self._row.insertWidget(number, chip)
            self._chips.append(chip)
        self._fit()

    def texts(self) -> tuple[str, ...]:
        """What is shown, unshortened."""
        return self._texts

    def _fit(self) -> None:
        sample = self._chips[0] if self._chips else tool_button("1", "")
        self.setFixedHeight(sample.sizeHint().height() + 2)

    @Slot(int, int)
    def _to_the_end(self, _low: int, high: int) -> None:
        self.horizontalScrollBar().setValue(high)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Who walks the row with Tab sees where they are."""
        if event.type() == QEvent.Type.FocusIn and isinstance(watched, QWidget):
            self.ensureWidgetVisible(watched)
        return super().eventFilter(watched, event)
