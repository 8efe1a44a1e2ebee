"""What turning a feature up does, as far as it was measured."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Card
from desktop_scope.gui import discovery_actions, theme
from desktop_scope.gui.card import text
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.painting import muted


class LeverBox(QWidget):
    """Reader or lever in a word, the figures beside it, and a button to measure what is not."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._feature = FeatureId(0, 0)
        self._role = QLabel()
        self._line = muted(QLabel(wordWrap=True))
        self._measure = QPushButton()
        self._measure.setAccessibleName("Measure the levers of this autoencoder, or stop")
        self._measure.setToolTip(
            "Measure every feature of this autoencoder as a lever, a few at a time whenever the\n"
            "model has nothing else to do. What is measured is kept."
        )
        self._measure.clicked.connect(self._toggle)
        self._answers = QPushButton()
        self._answers.setAccessibleName("Whole answers with and without this feature, or stop")
        self._answers.setToolTip(
            "Twelve plain questions, answered as they are, with this feature pushed in, and with\n"
            "another one pushed in as far: do the answers take up the words of its examples?\n"
            "This finds features that change the manner of whole answers. It takes some seconds."
        )
        self._answers.clicked.connect(self._try_answers)
        self._answer_line = muted(QLabel(wordWrap=True))
        row = QHBoxLayout()
        row.addWidget(self._role, 1)
        row.addWidget(self._measure)
        row.addWidget(self._answers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._line)
        column.addWidget(self._answer_line)

    def draw(self, state: AppState, card: Card) -> None:
        """Draw what is known of the card's feature; the old text stays until that is there."""
        discovery, self._feature = state.discovery, card.feature
        self._draw_answers(state)
        insight = discovery.insight
        if insight is None or insight.feature != card.feature:
            return
        self._role.setFont(theme.strong(theme.ui_font()))
        lever = insight.lever
        self._role.setText(text.role(card, insight))
        about = "" if insight.interest is None else "\n\n" + text.interest_line(insight.interest)
        self._role.setToolTip(
            "Reader: its examples have a meaning or a few tokens in common.\n"
            "Lever: turned up, it makes what it promotes likelier, more than three quarters of its "
            f"layer do.{about}"
        )
        unknown = "How far it is a lever has not been measured yet."
        self._line.setText(unknown if lever is None else text.lever_line(lever))
        self._line.setToolTip(text.LEVER_LIMITS)
        whole = lever is not None and lever.n_known == lever.n_features
        self._measure.setVisible(not whole)
        self._measure.setText(self._words(state))

    def _words(self, state: AppState) -> str:
        if state.discovery.scoring != self._feature.sae:
            return "Measure this layer"
        n = state.saes[self._feature.sae].d_sae
        return f"Stop measuring ({state.discovery.scored:,} of {n:,})"

    def _draw_answers(self, state: AppState) -> None:
        trial, score = state.discovery.trial, state.discovery.answer_score
        running = trial is not None and trial.feature == self._feature
        words = f"Stop ({len(trial.answers)} of 3)" if running and trial else "Whole answers"
        self._answers.setText(words)
        known = score is not None and score.feature == self._feature
        self._answer_line.setVisible(known)
        if known and score is not None:
            self._answer_line.setText(text.answer_line(score))
            self._answer_line.setToolTip(text.answer_details(score))

    @Slot()
    def _try_answers(self) -> None:
        self._store.act(discovery_actions.toggle_trial, self._feature)

    @Slot()
    def _toggle(self) -> None:
        self._store.act(discovery_actions.toggle_scoring, self._feature.sae)
