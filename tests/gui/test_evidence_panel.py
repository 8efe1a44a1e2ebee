"""The panel says what gathering costs, runs it, and stands back; one window for all of it."""

from __future__ import annotations

from pathlib import Path

from desktop_scope.engine.requests import Request
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.gathering import (
    Gather,
    GatherCost,
    LeaveGathering,
    Standing,
    WeighText,
)
from desktop_scope.gui.panels.evidence import EvidencePanel
from tests.gui.conftest import already_loaded


def test_a_person_chooses_a_text_starts_pauses_and_finishes(
    open_window, workbench, qtbot, monkeypatch, tmp_path
):
    real, asked = already_loaded(workbench), []

    def handle(request: Request, job: Job) -> object:
        asked.append(request)
        if isinstance(request, WeighText):
            paused = any(isinstance(one, LeaveGathering) for one in asked)
            standing = Standing(tokens=500) if paused else Standing()
            return GatherCost(request.plan, 123_456, 3600.0, 250_000_000, "", standing)
        if isinstance(request, Gather):
            done = any(isinstance(one, LeaveGathering) for one in asked)
            return Standing(1000 * (request.turn + 1), 0.5, 400.0, 120.0, done)
        if isinstance(request, LeaveGathering):
            return request.keep
        return real(request, job)

    user = open_window(handle)
    user.settled()
    panel: EvidencePanel = user.panel("evidence")
    user.window.focus_panel("evidence")
    user.until(lambda state: state.gathering.cost is not None)
    assert "123,456 tokens: 60 min" in panel._cost.text()
    assert "250.0 MB" in panel._cost.text()

    texts = tmp_path / "a.txt"
    monkeypatch.setattr(
        "desktop_scope.gui.panels.evidence.QFileDialog.getOpenFileNames",
        lambda *_: ([str(texts)], ""),
    )
    panel._files.click()
    user.until(lambda state: state.gathering.cost.plan.texts == (Path(texts),))
    assert panel._text.text() == "Text: a.txt"

    panel._start.click()
    user.until(lambda state: state.gathering.turn > 2)
    assert "400 a second, about 2 min left" in panel._standing.text()
    assert panel._bar.value() == 500
    assert not panel._start.isVisible()
    assert not panel._files.isEnabled()

    panel._pause.click()
    user.until(lambda state: state.gathering.cost is not None)
    assert asked[-1].plan.texts == (Path(texts),)
    assert next(r for r in asked if isinstance(r, LeaveGathering)).keep
    assert panel._start.text() == "Go on"
    assert "500 tokens were read before" in panel._cost.text()

    panel._start.click()
    user.until(lambda state: state.gathering.done == 1 and state.settled)
    assert panel._standing.text().startswith("Done")
    assert panel._start.isVisible()
