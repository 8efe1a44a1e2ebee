"""The strip at the foot: what runs where, how far it is, and a way to stop it."""

from __future__ import annotations

import time

import psutil
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QProgressBar, QStatusBar

from desktop_scope.gui.state import AppState, JobStatus
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted, percent
from desktop_scope.wording import counted

# What a job is called until it reports something itself; lookups are too short to mention.
_WORDS = {
    "load": "Loading the model",
    "open": "Opening the evidence",
    "trace": "Reading the prompt",
    "generate": "Answering",
    "damage": "Measuring the cost",
    "vector": "Reading the prompts",
    "topics": "Finding out what is near to it",
    "rule": "Trying the rule",
    "sweep": "Trying strengths",
    "controls": "Running controls",
    "probe": "Trying your text",
    "import": "Reading labels",
    "export": "Writing your labels",
    "read vector": "Reading the vector",
    "export-vector": "Writing the control vector",
    "export-model": "Writing a copy of the model",
    "mark": "Keeping what you wrote",
    "recipes": "Reading the recipes",
    "save recipe": "Saving the recipe",
    "delete recipe": "Deleting the recipe",
    "example": "Reading the phrase",
    "contrast": "Comparing the texts",
    "meanings": "Reading labels for their meaning",
    "identify": "Looking at what you gave",
    "scan": "Looking through this machine’s folders",
    "flow": "Following flow between layers",
    "flow-study": "Switching features off",
    "birth": "Looking for a concept’s birth",
    "compare": "Comparing",
    "beside": "Opening a second model",
    "close-beside": "Letting go of the second model",
    "flow-check": "Switching features off",
    "why": "Following the answer back",
    "verify": "Switching features off",
    "path": "Following the path",
    "check": "Checking an autoencoder",
    "judge": "Trying the labels",
    "weigh": "Looking through the text",
    "leave": "Keeping what was gathered",
    "gather": "Gathering evidence",
    "ask": "Asking a model",
    "record": "Making traces of this length fast",
    "wander": "Looking for something interesting",
    "levers": "Measuring levers",
    "audit": "Auditing",
    "shift": "Working on a probe",
    "concept": "Looking for a concept",
    "audit-digest": "Ranking the features",
    "answer-score": "Comparing whole answers",
    "lens grid": "Reading the layers as words",
    "fit lens": "Fitting the lens",
    "other": "Reading the other prompt",
    "sizes": "Measuring what each size loses",
    "kin": "Reading examples of the family",
    "map": "Opening the map",
    "draw": "Drawing the map",
}
_MEMORY_EVERY_S = 1.0
_DOING_WIDTH = 220


class StatusStrip(QStatusBar):
    """Ready or busy, progress, cancel; device, memory, tokens, seconds."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._process = psutil.Process()
        self._memory_at = 0.0
        self.setSizeGripEnabled(False)
        self.setContentsMargins(8, 0, 12, 0)
        self._doing = QLabel()
        self._doing.setAccessibleName("What is running")
        self._bar = QProgressBar(textVisible=False)
        self._bar.setAccessibleName("Progress")
        self._bar.setFixedSize(120, 6)
        self._cancel = tool_button("Cancel", "Stop what is running (Esc)")
        self._cancel.clicked.connect(self._stop)
        self._model = muted(QLabel())
        self._memory = muted(QLabel())
        self._memory.setToolTip("Memory that Desktop Scope holds, weights included")
        self._traced = muted(QLabel())
        for widget in (self._bar, self._cancel):
            # Coming and going they would make the whole window lay itself out anew.
            policy = widget.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            widget.setSizePolicy(policy)
        self._doing.setMinimumWidth(_DOING_WIDTH)
        for widget in (self._doing, self._bar, self._cancel):
            self.addWidget(widget)
        for widget in (self._traced, self._memory, self._model):
            self.addPermanentWidget(widget)

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if "jobs" in fields:
            jobs = {job.kind: job for job in state.jobs}
            self._draw_job(next((jobs[kind] for kind in _WORDS if kind in jobs), None), state)
        if "model" in fields and state.model is not None:
            model = state.model
            packed = ", packed for this processor" if model.packed else ""
            self._model.setText(f"{model.device.upper()} {model.dtype}")
            self._model.setToolTip(f"{model.architecture}{packed}; {model.path}")
        if "trace" in fields and state.trace is not None:
            trace = state.trace
            self._traced.setText(
                f"{counted(trace.n_tokens, 'token')} traced in {trace.seconds:.2f} s"
            )
        self._draw_memory()

    def _draw_job(self, job: JobStatus | None, state: AppState) -> None:
        self._bar.setVisible(job is not None)
        self._cancel.setVisible(job is not None)
        if job is None:
            self._doing.setText("● ready" if state.model else "○ no model")
            return
        words = job.text or _WORDS[job.kind]
        if job.kind == "scan":  # paths that rush past would be unreadable and jump
            words = f"{_WORDS[job.kind]}: {job.done:,}"
        if job.kind == "gather":  # many short slices: each by itself says little
            share = state.gathering.standing.share
            self._doing.setText(f"{_WORDS[job.kind]}: {percent(share)} …")
            self._bar.setRange(0, 1000)
            self._bar.setValue(round(1000 * share))
            return
        self._doing.setText(f"{words} …")
        self._bar.setRange(0, job.total)
        self._bar.setValue(job.done)

    def _draw_memory(self) -> None:
        now = time.monotonic()
        if now - self._memory_at > _MEMORY_EVERY_S:
            self._memory_at = now
            self._memory.setText(f"{self._process.memory_info().rss / 1e9:.1f} GB")

    @Slot()
    def _stop(self) -> None:
        self._store.cancel()
