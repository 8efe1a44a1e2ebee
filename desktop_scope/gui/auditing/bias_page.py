"""Second step: how differently the rows are answered."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_scope.experiments.audit import PLAIN, Condition, Figures, Study
from desktop_scope.experiments.audit_table import Aim, Part
from desktop_scope.gui.widgets.bias_chart import Bar, BiasChart
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.wording import counted

_HEADINGS = {
    Part.FIND: "Features are found on these",
    Part.HELD_OUT: "Held out: features are tested on these",
    Part.CONTROL: "Control: these should keep their answer",
}
SCORE_HELP = (
    "log p(answer) − log p(other answer), in nats: above 0 the first answer is likelier.\n"
    "Spread is the standard deviation over the rows; “both answers” is how probable it is\n"
    "that the model says either of them at all."
)


class BiasPage(QWidget):
    """The answers as bars around zero.

    Signals:
        features_wanted: The user wants to see what this hangs on.
        table_wanted: The user wants the figures as a file.
    """

    features_wanted = Signal()
    table_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._about = muted(QLabel(wordWrap=True))
        self._figures = QLabel(wordWrap=True)
        self._figures.setToolTip(SCORE_HELP)
        self._chart = BiasChart("Scores by row")
        self._save = QPushButton("Save the table …")
        self._save.clicked.connect(self.table_wanted)
        self._find = QPushButton("Find the features")
        self._find.setDefault(True)
        self._find.setToolTip(
            "Follow every answer back to the features of all layers: gradient × activation"
        )
        self._find.clicked.connect(self.features_wanted)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._figures, 1)
        foot.addWidget(self._save)
        foot.addWidget(self._find)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._about)
        column.addWidget(self._chart, 1)
        column.addLayout(foot)

    def show_study(self, study: Study) -> None:
        """Draw what was measured so far."""
        about = " ".join(filter(None, (study.table.about, f"({sides(study)})")))
        self._about.setText(about)
        self._chart.set_bars(bars_of(study, None))
        whole = study.whole(PLAIN)
        self._save.setEnabled(whole)
        self._find.setEnabled(whole)
        figures = study.figures(PLAIN, Part.FIND, Part.HELD_OUT)
        self._figures.setText(in_words(figures, study.table.aim) if figures else "")


def in_words(figures: Figures, aim: Aim) -> str:
    """Some rows in one line."""
    main = (
        f"right in {percent(figures.accuracy)}"
        if aim is Aim.ACCURACY
        else f"spread {number(figures.spread)}, mean {number(figures.mean)}"
    )
    return (
        f"{counted(figures.n, 'row')}: {main}; both answers {percent(figures.mass)} of what is said"
    )


def sides(study: Study) -> str:
    """What lies to the left and to the right."""
    asked = [row for row in study.table.rows if row.part is not Part.CONTROL]
    pairs = {(row.answer, row.instead) for row in asked}
    if len(pairs) == 1:
        answer, instead = next(iter(pairs))
        return f"left “{instead.strip()}”, right “{answer.strip()}”"
    return "right of the middle: the first answer of the row is likelier"


def bars_of(
    study: Study, changed: Condition | None, order: Sequence[Part] = tuple(Part)
) -> list[str | Bar]:
    """One bar for every row that was measured, under the heading of its part."""
    before = study.differences()
    after = study.differences(changed) if changed else before[:0]
    mass = study.masses()
    bars: list[str | Bar] = []
    for part in order:
        rows = [n for n in study.table.of(part) if n < len(before)]
        if rows:
            bars.append(_HEADINGS[part])
        for n in sorted(rows, key=lambda n: float(before[n])):
            row = study.table.rows[n]
            text = " … ".join(filter(None, (row.prompt, row.begun)))
            bars.append(
                Bar(
                    row.prompt if part is Part.CONTROL else row.title,
                    float(before[n]),
                    float(after[n]) if n < len(after) else None,
                    f"{text}\n“{row.answer}” or “{row.instead}”: {percent(float(mass[n]))} "
                    "of what is said",
                )
            )
    return bars
