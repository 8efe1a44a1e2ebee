"""Third step: read the features that matter, tick some, switch them off."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.audit import Ranked, Study, Where
from desktop_scope.experiments.audit_table import Aim
from desktop_scope.gui.naming import title
from desktop_scope.gui.states.audit import AuditState
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.gui.widgets.row_list import Row, RowList
from desktop_scope.wording import counted

_PLACES = (
    (Where.EVERYWHERE, "everywhere", "At every token that the SAE encodes"),
    (
        Where.WORDS,
        "only at the filled-in words",
        "Only where the word stands that was filled into the sentence: elsewhere the model\n"
        "keeps these features, and may need them",
    ),
)
_FACTORS = ((0.0, "off"), (0.5, "to half"), (0.25, "to a quarter"))
_HELP = {
    Aim.SPREAD: "Part in the spread: how much of it varies with this feature (covariance of "
    "gradient ×\nactivation with the scores, over their standard deviation), in nats. "
    "Found on one half of the rows.",
    Aim.ACCURACY: "Part in the mistakes: how far this feature pushes wrong answers, on average "
    "over the rows\nthat are wrong (gradient × activation), in nats. Found on one half.",
}


class FeaturesPage(QWidget):
    """Features by their part in the bias, each with a box.

    Signals:
        looked_at: The user moved to this feature.
        ticked: Features, and whether they are to be switched off.
        placed: Where to switch off.
        turned: What is left of what they say; 0 is off.
        go: Switch off what is ticked.
    """

    looked_at = Signal(object)
    ticked = Signal(object, bool)
    placed = Signal(object)
    turned = Signal(float)
    go = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._audit = AuditState()
        self._by_group = False
        self._head = muted(QLabel(wordWrap=True))
        self._order = tool_button(
            "Group alike",
            "Features whose effects vary together and whose labels share words stand together;\n"
            "ticking one then ticks its group",
            checkable=True,
        )
        self._order.toggled.connect(self._reorder)
        self._list = RowList("Features by their part in the bias", self._row)
        self._list.chosen.connect(lambda one: self.looked_at.emit(one.feature))
        self._list.toggled.connect(self._toggled)
        self._empty = EmptyState()
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._list)
        self._known = tool_button("Tick what was found", "The features that this case is known for")
        self._known.clicked.connect(self._tick_known)
        self._none = tool_button("None", "Take all ticks away")
        self._none.clicked.connect(lambda: self.ticked.emit(self._audit.ticked, False))
        self._where = QComboBox()
        self._where.setAccessibleName("Where to switch off")
        for n, (where, words, help_) in enumerate(_PLACES):
            self._where.addItem(words, where)
            self._where.setItemData(n, help_, Qt.ItemDataRole.ToolTipRole)
        self._where.activated.connect(self._placed)
        self._factor = QComboBox()
        self._factor.setAccessibleName("Switch off or turn down")
        for factor, words in _FACTORS:
            self._factor.addItem(words, factor)
        self._factor.activated.connect(lambda place: self.turned.emit(_FACTORS[place][0]))
        self._go = QPushButton()
        self._go.setDefault(True)
        self._go.clicked.connect(self.go)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._head, 1)
        top.addWidget(self._order)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._known)
        foot.addWidget(self._none)
        foot.addStretch(1)
        foot.addWidget(self._factor)
        foot.addWidget(self._where)
        foot.addWidget(self._go)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(body, 1)
        column.addLayout(foot)

    def show_audit(self, audit: AuditState, names: dict[str, FeatureId]) -> None:
        """Draw the ranking and the ticks.

        Args:
            names: The known features of this case that there are.
        """
        self._audit, self._names = audit, names
        study = audit.study
        digest = study.digest if study else None
        self._stack.setCurrentIndex(1 if digest and digest.ranking else 0)
        self._head.setText(_headline(study))
        self._head.setToolTip(_HELP[study.table.aim] if study else "")
        if digest is None:
            self._empty.set_text("Every answer is followed back to the features of all layers …")
        elif not digest.ranking:
            self._empty.set_text("No feature has a part in it: the rows are all answered alike.")
        self._list.set_items(self._ordered())
        self._list.refresh()
        self._known.setVisible(bool(names))
        self._none.setEnabled(bool(audit.ticked))
        self._where.setVisible(audit.has_words)
        with QSignalBlocker(self._where):
            self._where.setCurrentIndex(self._where.findData(audit.where))
        n = len(audit.ticked)
        with QSignalBlocker(self._factor):
            self._factor.setCurrentIndex([f for f, _ in _FACTORS].index(audit.factor))
        self._go.setText(f"Try without {counted(n, 'feature')}" if n else "Try without")
        if audit.factor:
            self._go.setText(f"Turn down {counted(n, 'feature')}" if n else "Turn down")
        self._go.setEnabled(bool(n) and digest is not None)

    def focus_first(self) -> None:
        """The list."""
        self._list.setFocus()

    def _ordered(self) -> tuple[Ranked, ...]:
        study = self._audit.study
        ranking = study.digest.ranking if study and study.digest else ()
        if not self._by_group or not ranking:
            return ranking
        return tuple(sorted(ranking, key=lambda one: one.group))

    def _row(self, one: Ranked) -> Row:
        toward = self._toward(one)
        group = f"group {one.group + 1}  ·  " if self._by_group else ""
        return Row(
            title=title(one.label, one.name),
            about=f"{group}{one.name}  ·  {toward}fires on {percent(one.density)} of tokens",
            sign=number(one.part),
            checked=one.feature in self._audit.ticked,
        )

    def _toward(self, one: Ranked) -> str:
        study = self._audit.study
        if study is None:
            return ""
        pairs = {(study.table.rows[n].answer, study.table.rows[n].instead) for n in study.finders}
        if len(pairs) != 1 or not one.toward:
            return ""
        answer, instead = next(iter(pairs))
        return f"toward “{(answer if one.toward > 0 else instead).strip()}”  ·  "

    @Slot(bool)
    def _reorder(self, by_group: bool) -> None:
        self._by_group = by_group
        self._list.set_items(self._ordered())

    @Slot(object)
    def _toggled(self, one: Ranked) -> None:
        others = [o for o in self._ordered() if self._by_group and o.group == one.group]
        features = tuple(o.feature for o in others) or (one.feature,)
        self.ticked.emit(features, one.feature not in self._audit.ticked)

    @Slot(int)
    def _placed(self, place: int) -> None:
        self.placed.emit(_PLACES[place][0])  # Qt hands an item's enum back as a str

    @Slot()
    def _tick_known(self) -> None:
        self.ticked.emit(tuple(self._names.values()), True)


def _headline(study: Study | None) -> str:
    if study is None:
        return ""
    what = "in the mistakes" if study.table.aim is Aim.ACCURACY else "in the spread"
    return (
        f"Features by their part {what}, found on {len(study.finders)} rows. Read their examples "
        "on the card, and tick those that you would rather do without."
    )
