"""Gathering evidence from text of one's own: what it will cost, how far it is, pause and go on."""

from __future__ import annotations

import math
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.evidence.gathering import SAMPLE, GatherPlan, minutes
from desktop_scope.gui.areas import gathering
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted, percent
from desktop_scope.library.browsing import size_words

_LIMITS = ((None, "all of it"), (1_000_000, "1 M tokens"), (100_000, "100,000 tokens"),
           (10_000, "10,000 tokens"))  # fmt: skip
_TEACHING = (
    "A feature without evidence is a number. Let the model read text once, and every feature of "
    "the open autoencoders gets how often and how strongly it fires, its strongest examples, the "
    "words it fires on, a label made from these, and which features fire together with it. Of many "
    "documents every eighth is left aside: on these its labels are scored afterwards, unasked."
)


class EvidencePanel(Panel):
    """Which text, what it takes, how far it is."""

    id = "evidence"
    title = "Evidence"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset({"gathering", "model", "saes", "opened", "jobs"})

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._text = QLabel(wordWrap=True)
        self._files = tool_button("Files …", "Text files: .txt, .md, .jsonl or .parquet")
        self._files.clicked.connect(self.choose_files)
        self._folder = tool_button("Folder …", "All texts in a folder and the folders in it")
        self._folder.clicked.connect(self.choose_folder)
        self._usual = tool_button("The usual text", "The text that comes with the program")
        self._usual.clicked.connect(self._choose_usual)
        self._limit = QComboBox()
        self._limit.setAccessibleName("How much of the text")
        for limit, words in _LIMITS:
            self._limit.addItem(words, limit)
        self._limit.activated.connect(self._limit_chosen)
        self._cost = QLabel(wordWrap=True)
        self._bar = QProgressBar(textVisible=False)
        self._bar.setAccessibleName("How far the gathering is")
        self._bar.setRange(0, 1000)
        self._bar.setFixedHeight(6)
        self._standing = QLabel(wordWrap=True)
        self._start = QPushButton("Start")
        self._start.clicked.connect(self._begin)
        self._pause = QPushButton("Pause")
        self._pause.setToolTip("Keep what there is; Start goes on with it, another day too")
        self._pause.clicked.connect(self._stop_for_now)
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Throw away what this run has gathered so far")
        self._cancel.clicked.connect(self._stop_for_good)
        self._empty = EmptyState()
        self._empty.acted.connect(self.want_library)
        self._lay_out()

    def _lay_out(self) -> None:
        teaching = muted(QLabel(_TEACHING, wordWrap=True))
        source = QHBoxLayout()
        source.setSpacing(4)
        source.addWidget(self._text, 1)
        for widget in (self._files, self._folder, self._usual, self._limit):
            source.addWidget(widget)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self._start, self._pause, self._cancel):
            buttons.addWidget(button)
        buttons.addStretch(1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(12, 8, 12, 12)
        column.setSpacing(8)
        column.addWidget(teaching)
        column.addLayout(source)
        column.addWidget(self._cost)
        column.addLayout(buttons)
        column.addWidget(self._bar)
        column.addWidget(self._standing)
        column.addStretch(1)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(content)

    def focus_first(self) -> None:
        """Start, or choose a text first."""
        (self._start if self._start.isEnabled() else self._files).setFocus()

    def seen(self, visible: bool) -> None:
        """Only whoever looks needs to know the cost."""
        self.store.act(gathering.show_cost, visible)

    # ---- drawing

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        ready = state.model is not None and state.opened is not None and bool(state.saes)
        self._stack.setCurrentIndex(1 if ready else 0)
        if not ready:
            self._empty.set_text(*_sentence(state))
            return
        own, plan = state.gathering, gathering.under_way(state)
        mine = own.running is not None and plan == own.running
        shown = own.running if mine and own.running is not None else own.chosen
        self._text.setText(f"Text: {_text_words(shown)}")
        with QSignalBlocker(self._limit):
            self._limit.setCurrentIndex(max(self._limit.findData(shown.most_tokens), 0))
        for widget in (self._files, self._folder, self._usual, self._limit):
            widget.setEnabled(not mine)
        self._usual.setVisible(bool(shown.texts))
        self._cost.setVisible(not mine)
        self._cost.setText(_cost_words(state))
        self._start.setVisible(not mine)
        self._start.setEnabled(own.leaving is None)
        resumes = own.cost is not None and own.cost.standing.tokens > 0
        self._start.setText("Go on" if resumes else "Start")
        self._pause.setVisible(mine)
        self._cancel.setVisible(mine)
        share = own.standing.share if plan is not None and plan == own.plan else 0.0
        self._bar.setVisible(plan is not None)
        self._bar.setValue(round(1000 * share))
        self._standing.setText(_standing_words(state, plan))

    # ---- what a person does

    @Slot()
    def choose_files(self) -> None:
        """Let the user say which texts to read."""
        kinds = "Text (*.txt *.md *.jsonl *.parquet)"
        paths, _ = QFileDialog.getOpenFileNames(self, "Gather evidence from these texts", "", kinds)
        if paths:
            self.store.act(gathering.choose_texts, tuple(map(Path, paths)))

    @Slot()
    def choose_folder(self) -> None:
        """Let the user say which folder of texts to read."""
        if folder := QFileDialog.getExistingDirectory(self, "Gather evidence from these texts"):
            self.store.act(gathering.choose_texts, (Path(folder),))

    @Slot()
    def _choose_usual(self) -> None:
        self.store.act(gathering.choose_texts, ())

    @Slot(int)
    def _limit_chosen(self, row: int) -> None:
        self.store.act(gathering.limit_tokens, self._limit.itemData(row))

    @Slot()
    def _begin(self) -> None:
        self.store.act(gathering.start)

    @Slot()
    def _stop_for_now(self) -> None:
        self.store.act(gathering.leave, True)

    @Slot()
    def _stop_for_good(self) -> None:
        self.store.act(gathering.leave, False)


def _sentence(state: AppState) -> tuple[str, str]:
    if state.opened is not None and not state.saes:
        return "Open an autoencoder: evidence is gathered about its features.", "Open the library"
    return "As soon as a model and its autoencoders are open, evidence can be gathered here.", ""


def _text_words(plan: GatherPlan) -> str:
    if not plan.texts:
        return "the one that comes with the program"
    names = ", ".join(path.name for path in plan.texts[:3])
    return names if len(plan.texts) <= 3 else f"{names} and {len(plan.texts) - 3} more"


def _cost_words(state: AppState) -> str:
    own = state.gathering
    cost = own.cost if own.cost is not None and own.cost.plan == own.chosen else None
    if cost is None:
        return "Seeing what it will take …" if own.shown else ""
    words = (
        f"About {cost.tokens:,} tokens: {minutes(cost.seconds)} at the speed just measured, and "
        f"{size_words(cost.bytes)} on the disk. The window stays usable; what you do goes first."
    )
    if cost.standing.tokens:
        words = f"{cost.standing.tokens:,} tokens were read before. {words}"
    return f"{words} {cost.note}".strip()


def _standing_words(state: AppState, plan: GatherPlan | None) -> str:
    own = state.gathering
    standing = own.standing
    if plan is None:
        if own.plan is None or not standing.done:
            return ""
        kept = " A pack's own examples and labels stay as they are." if _is_pack(state) else ""
        return (
            f"Done: {standing.tokens:,} tokens were read, and the cards show what was found.{kept}"
        )
    words = "Seeing which features fire together, by itself" if plan == SAMPLE else "Under way"
    if plan != own.plan or math.isnan(standing.rate):
        return f"{words} …"
    left = "" if math.isnan(standing.left) else f", about {minutes(standing.left)} left"
    waits = "  Waits while the model does something else for you." if _is_waiting(state) else ""
    return (
        f"{words}: {standing.tokens:,} tokens ({percent(standing.share)}), "
        f"{standing.rate:,.0f} a second{left}.{waits}"
    )


def _is_waiting(state: AppState) -> bool:
    return any(job.awaited for job in state.jobs)


def _is_pack(state: AppState) -> bool:
    return any(sae.format == "pack" for sae in state.saes)
