"""Counter-examples: a typed text that should wake a feature, or should not."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_scope.evidence.types import Card, Source, Trial
from desktop_scope.gui import marks_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted

_MOST_SHOWN = 5


class Trials(QWidget):
    """Asks of a typed text whether the label says that the feature fires; shows what was said.

    Args:
        act: Carries out an action on the state: ``Store.act``.
    """

    def __init__(self, act: Callable[..., None]) -> None:
        super().__init__()
        self._act = act
        self._card: Card | None = None
        self._asks = QWidget()
        self._fires = tool_button(
            "It should fire",
            "If the label is right, the feature fires on this text: that counts in the score",
            checkable=True,
        )
        self._silent = tool_button(
            "It should not",
            "If the label is right, the feature stays silent on this text: that counts, too",
            checkable=True,
        )
        self._fires.clicked.connect(self._said_fires)
        self._silent.clicked.connect(self._said_silent)
        row = QHBoxLayout(self._asks)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(muted(QLabel("By its label,")))
        row.addWidget(self._fires)
        row.addWidget(self._silent)
        row.addStretch(1)
        self._said = muted(QLabel(wordWrap=True))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._asks)
        column.addWidget(self._said)

    def show_card(self, state: AppState, card: Card) -> None:
        """Draw."""
        self._card = card
        probe, typed = state.probe, state.probe_text.strip()
        fits = bool(typed) and probe is not None and probe.feature == card.feature
        asks = fits and probe.text.strip() == typed and card.label.source is not Source.NONE
        self._asks.setVisible(asks)
        said = {trial.text: trial.said for trial in card.marks.trials}
        now = said.get(probe.text) if asks else None
        self._fires.setChecked(now is True)
        self._silent.setChecked(now is False)
        trials = card.marks.trials
        self._said.setText("\n".join(_about(trial) for trial in trials[-_MOST_SHOWN:]))
        self._said.setVisible(bool(trials))
        self.setVisible(asks or bool(trials))

    @Slot()
    def _said_fires(self) -> None:
        self._say(True if self._fires.isChecked() else None)

    @Slot()
    def _said_silent(self) -> None:
        self._say(False if self._silent.isChecked() else None)

    def _say(self, said: bool | None) -> None:
        if self._card is not None:
            self._act(marks_actions.set_trial, self._card.feature, said)


def _about(trial: Trial) -> str:
    sign = "✓" if trial.said == trial.fires else "✗"
    does = "fires" if trial.fires else "stays silent"
    should = "should fire" if trial.said else "should not"
    text = trial.text if len(trial.text) <= 60 else trial.text[:57] + "…"
    return f"{sign} “{text}”: {should}, {does}"
