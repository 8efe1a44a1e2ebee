"""Last step: before and after, the control, chance, the cost, and what it all amounts to."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_scope.experiments.audit import N_RANDOM, PLAIN, Condition, Cost, Study, Where
from desktop_scope.experiments.audit_table import Aim, Part
from desktop_scope.experiments.audit_verdict import Outcome, verdict
from desktop_scope.gui import theme
from desktop_scope.gui.auditing.bias_page import SCORE_HELP, bars_of
from desktop_scope.gui.widgets.bias_chart import BiasChart
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.wording import counted

_MEANING = {
    Outcome.CORRECTED: "Better on rows never looked at, by more than random features do, while "
    "the control\nkeeps its answers and the answers keep their probability.",
    Outcome.PUSHED: "Better on these rows, but the control pays for it: the model was pushed to "
    "other answers,\nits reason was not corrected.",
    Outcome.SILENCED: "The rows differ less only because the model hardly gives either answer.",
    Outcome.NOTHING: "Not more than features drawn at random do, or too little to count.",
    Outcome.UNPROVEN: "There is nothing to test it on.",
}
_ORDER = (Part.HELD_OUT, Part.CONTROL, Part.FIND)
_COLUMNS = ("found on", "held out", "both answers", "control right", "its lead")
_COLUMN_HELP = (
    "Rows on which the features were found",
    "Rows that were never looked at while choosing",
    "How probable it is that the model says either answer, on held-out rows:\n"
    "where it falls, the rows differ less because neither is said",
    "How many rows of the control keep their answer",
    "By how much the control’s answers are likelier than the others on average, in nats",
)


class ResultPage(QWidget):
    """The verdict, a table of figures, and the rows.

    Signals:
        table_wanted: The user wants the figures as a file.
    """

    table_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._word = QLabel()
        self._reason = QLabel(wordWrap=True)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._word)
        head.addWidget(self._reason, 1)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        self._cells: dict[tuple[int, int], QLabel] = {}
        for row in range(4):
            for column in range(len(_COLUMNS) + 1):
                self._cells[row, column] = label = QLabel()
                side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
                label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                if row == 0:
                    muted(label)
                self._grid.addWidget(label, row, column)
        for column, (words, help_) in enumerate(zip(_COLUMNS, _COLUMN_HELP, strict=True), start=1):
            self._cells[0, column].setText(words)
            self._cells[0, column].setToolTip(help_)
        self._cost = muted(QLabel(wordWrap=True))
        self._cost.setToolTip(
            "KL: how far next-token probabilities move on neutral sentences, nats per token.\n"
            "Loss: −log p of the answers’ own words in texts of the demo pack in which they are "
            "frequent,\nand of all other words there: it rises where the model has lost what it "
            "needs to say them."
        )
        self._chart = BiasChart("Scores before and after, by row")
        self._save = QPushButton("Save the table …")
        self._save.clicked.connect(self.table_wanted)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._cost, 1)
        foot.addWidget(self._save, 0, Qt.AlignmentFlag.AlignBottom)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addLayout(self._grid)
        column.addWidget(self._chart, 1)
        column.addLayout(foot)

    def show_study(self, study: Study) -> None:
        """Draw what was measured so far."""
        said = verdict(study)
        self._word.setText(said.outcome.value.capitalize() if said else "Measuring …")
        self._word.setFont(theme.strong(theme.ui_font(theme.ui_font().pixelSize() + 3)))
        self._word.setToolTip(_MEANING[said.outcome] if said else "")
        self._reason.setText(said.reason if said else study.table.found and _expected(study))
        self._draw_figures(study)
        self._chart.set_bars(bars_of(study, study.chosen, _ORDER))
        self._chart.setToolTip("" if study.whole(study.chosen) else SCORE_HELP)
        cost = study.costs.get(study.chosen)
        self._cost.setText(_cost_words(study.chosen, cost))
        self._save.setEnabled(study.whole(study.chosen))

    def _draw_figures(self, study: Study) -> None:
        figures = theme.figures(QFont(theme.ui_font()))
        n, factor = len(study.chosen.off), study.chosen.factor
        how = f"at {percent(factor)}" if factor else "off"
        lines = (
            ("nothing off", [PLAIN]),
            (f"{counted(n, 'feature')} {how}", [study.chosen]),
            (
                f"random ones {how}, {counted(len(study.controls) or N_RANDOM, 'draw')}",
                list(study.controls),
            ),
        )
        for row, (words, conditions) in enumerate(lines, start=1):
            self._cells[row, 0].setText(words)
            for column, text in enumerate(_line(study, conditions), start=1):
                self._cells[row, column].setText(text)
                self._cells[row, column].setFont(figures)
        self._cells[0, 0].setText(
            "right answers" if study.table.aim is Aim.ACCURACY else "spread of the scores"
        )


def _line(study: Study, conditions: list[Condition]) -> list[str]:
    """The cells of one line; of several conditions, the range."""
    if not conditions:
        return ["…"] * len(_COLUMNS)

    def span(part: Part, what: str) -> str:
        found = [study.figures(condition, part) for condition in conditions]
        values = [getattr(one, what) for one in found if one is not None]
        if len(values) < len(conditions):
            return "…" if study.table.of(part) else "–"
        write = number if what in ("spread", "mean") else percent
        low, high = write(min(values)), write(max(values))
        return low if low == high else f"{low.removesuffix(' %')} – {high}"

    main = "accuracy" if study.table.aim is Aim.ACCURACY else "spread"
    apart = Part.HELD_OUT if study.table.of(Part.HELD_OUT) else Part.FIND
    return [
        span(Part.FIND, main),
        span(Part.HELD_OUT, main),
        span(apart, "mass"),
        span(Part.CONTROL, "accuracy"),
        span(Part.CONTROL, "mean"),
    ]


def _expected(study: Study) -> str:
    return f"What was found before: {study.table.found}"


def _cost_words(condition: Condition, cost: Cost | None) -> str:
    if condition.where is Where.WORDS:
        return "Only at the filled-in words: in other texts nothing is changed."
    if cost is None:
        return ""
    words = f"Cost elsewhere: KL {cost.kl:.3f} on neutral sentences"
    if cost.n_words:
        (a, b), (c, d) = cost.own_loss, cost.other_loss
        words += (
            f"; loss of {cost.n_words:,} of the answers’ words in other texts "
            f"{a:.2f} → {b:.2f}, of all other words {c:.2f} → {d:.2f}"
        )
    return words + "."
