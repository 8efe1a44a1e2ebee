"""From texts with a concept and texts without to features that may stand for it, tried."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from desktop_scope.experiments.concept import LEAST_OF_EACH, Candidate
from desktop_scope.experiments.concept_texts import DECEIVING, HONEST
from desktop_scope.gui.naming import title
from desktop_scope.gui.states.shift import ConceptState
from desktop_scope.gui.widgets.bias_chart import Bar, BiasChart
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted, percent
from desktop_scope.gui.widgets.row_list import Row, RowList


class ConceptPage(QWidget):
    """Two boxes of texts, the candidates, and the held-out texts in which one fires.

    Signals:
        wanted: Carries the texts with the concept and those without.
        looked_at: The user moved to this candidate.
    """

    wanted = Signal(object, object)
    looked_at = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._having = _texts("Texts with the concept, one a line")
        self._lacking = _texts("Texts without it, one a line")
        self._example = tool_button("Example", "Sixteen texts about deceiving, sixteen without")
        self._example.clicked.connect(self._fill)
        self._look = QPushButton("Look")
        self._look.setDefault(True)
        self._look.setToolTip(
            f"At least {LEAST_OF_EACH} texts of each: every second one is kept apart, to try on "
            "it\nwhat was found on the others. Alike in all but the concept is best."
        )
        self._look.clicked.connect(self._go)
        self._verdict = QLabel(wordWrap=True)
        self._list = RowList("Candidates", _candidate_row)
        self._list.chosen.connect(lambda one: self.looked_at.emit(one.feature))
        self._chart = BiasChart(
            "Held-out texts in which the candidate fires", signed=False, title_share=0.7
        )
        left = QVBoxLayout()
        left.setSpacing(4)
        left.addWidget(muted(QLabel("With the concept, one text a line")))
        left.addWidget(self._having, 1)
        left.addWidget(muted(QLabel("Without it")))
        left.addWidget(self._lacking, 1)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._example)
        foot.addStretch(1)
        foot.addWidget(self._look)
        left.addLayout(foot)
        right = QVBoxLayout()
        right.setSpacing(4)
        right.addWidget(self._verdict)
        right.addWidget(self._list, 1)
        right.addWidget(self._chart, 1)
        columns = QHBoxLayout(self)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(16)
        columns.addLayout(left, 2)
        columns.addLayout(right, 3)

    def focus_first(self) -> None:
        """Where the texts go."""
        self._having.setFocus()

    def show_concept(self, concept: ConceptState) -> None:
        """Draw what was found."""
        found = concept.found
        self._look.setEnabled(not concept.asked)
        if found is None:
            self._verdict.setText(
                "Reading the texts …"
                if concept.asked
                else "Features are found on half of the texts and tried on the other half. If "
                "nothing holds up there, you are told so."
            )
        else:
            self._verdict.setText(" ".join((found.verdict, *found.notes)))
        candidates = found.candidates if found else ()
        chosen = next((one for one in candidates if one.feature == concept.chosen), None)
        self._list.set_items(candidates, chosen)
        self._list.setVisible(bool(candidates))
        self._chart.setVisible(chosen is not None)
        self._chart.set_bars(_bars(chosen) if chosen else [])

    @Slot()
    def _fill(self) -> None:
        self._having.setPlainText("\n".join(DECEIVING))
        self._lacking.setPlainText("\n".join(HONEST))

    @Slot()
    def _go(self) -> None:
        boxes = (self._having, self._lacking)
        self.wanted.emit(*(tuple(box.toPlainText().splitlines()) for box in boxes))


def _texts(name: str) -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setAccessibleName(name)
    box.setTabChangesFocus(True)
    return box


def _candidate_row(one: Candidate) -> Row:
    return Row(
        title=title(one.label, one.name),
        about=f"{one.name}  ·  held out: fires in {percent(one.hits)} with, "
        f"{percent(one.alarms)} without",
        sign="holds up" if one.reliable else "not reliable",
        strong=one.reliable,
    )


def _bars(one: Candidate) -> list[str | Bar]:
    """False alarms first: they tell most of what a feature really is."""
    alarms = [text for text in one.tried if not text.has and text.value > one.threshold]
    missed = [text for text in one.tried if text.has and text.value <= one.threshold]
    hits = [text for text in one.tried if text.has and text.value > one.threshold]
    rows: list[str | Bar] = []
    for heading, texts in (
        ("False alarms: it fires, but the concept is not there", alarms),
        ("Missed: the concept is there", missed),
        ("Found", hits),
    ):
        if texts:
            rows.append(f"{heading} ({len(texts)})")
        rows += [Bar(text.text, text.value) for text in texts]
    return rows
