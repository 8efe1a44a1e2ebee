"""How fluid the window stays: gaps of its event loop, first paint, repaint of a long text."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

_TICK_MS = 5
_FRAME_MS = 1000 / 60


def run() -> dict[str, float]:
    """Measure, offscreen unless a platform is named."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    figures = {"first_paint_seconds": _first_paint()}
    figures |= _gaps()
    figures |= _repaint()
    figures["trace_gap_frame_ratio"] = figures["trace_worst_gap_ms"] / _FRAME_MS
    figures["repaint_2000_frame_ratio"] = figures["repaint_2000_ms"] / _FRAME_MS
    return figures


def _first_paint() -> float:
    """Seconds from the start of a process to its window being painted, best of three."""
    code = (
        "import sys, time\n"
        "from PySide6.QtCore import QTimer\n"
        "from desktop_scope.gui.app import application, make_window\n"
        "app = application(); window = make_window(); window.show()\n"
        "app.processEvents(); window.grab(); assert 'torch' not in sys.modules\n"
        "print(time.time()); window.close()\n"
    )
    times = []
    for _ in range(3):
        start = time.time()
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        times.append(float(out.split()[-1]) - start)
    return min(times)


class _Ticks:
    """Records when a 5 ms timer of the event loop really fires."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self._at: list[float] = []
        self._timer = QTimer(interval=_TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(lambda: self._at.append(time.perf_counter()))
        self._timer.start()

    def gaps_ms(self, work: Callable[[], None]) -> np.ndarray:
        """Gaps between ticks while ``work`` runs the event loop."""
        self._at.clear()
        work()
        return np.diff(self._at) * 1000


def _gaps() -> dict[str, float]:
    from desktop_scope.engine.types import Prompt
    from desktop_scope.gui import actions
    from desktop_scope.gui.app import application, begin, make_window
    from desktop_scope.gui.screenshot import wait_until
    from desktop_scope.gui.state import AppState

    def idle(state: AppState) -> bool:
        return state.card is not None and state.settled

    application()
    window = make_window()
    store = window.store
    window.resize(1440, 900)
    window.show()
    ticks = _Ticks()
    long_text = "The museum opens at nine in the morning. " * 25

    def load() -> None:
        begin(window)
        wait_until(store, idle)

    def trace() -> None:
        for n in range(5):
            store.act(actions.set_prompt, Prompt(f"{n}. {long_text}", chat=False))
            wait_until(store, idle)

    def generate() -> None:
        card = store.state.card
        assert card is not None
        store.act(actions.add_dial, card.feature, card.label, card.max_active)
        store.act(actions.ask)
        wait_until(store, idle)

    figures = {}
    for name, work in (("load", load), ("trace", trace), ("generate", generate)):
        gaps = ticks.gaps_ms(work)
        figures[f"{name}_worst_gap_ms"] = float(gaps.max())
        figures[f"{name}_p99_gap_ms"] = float(np.quantile(gaps, 0.99))
    window.close()
    store.close()
    return figures


def _repaint() -> dict[str, float]:
    """Another feature over 2,000 tokens: values set, view painted."""
    from desktop_scope.gui.app import application
    from desktop_scope.gui.widgets.token_view import TokenView

    app = application()
    view = TokenView()
    view.resize(900, 700)
    view.set_tokens([" token"] * 2000)
    view.show()
    app.processEvents()
    rng = np.random.default_rng(0)
    times = []
    for _ in range(30):
        values = rng.random(2000, dtype=np.float32)
        start = time.perf_counter()
        view.set_values(values, 1.0)
        view.viewport().repaint()
        times.append((time.perf_counter() - start) * 1000)
    view.close()
    return {"repaint_2000_ms": float(np.median(times))}
