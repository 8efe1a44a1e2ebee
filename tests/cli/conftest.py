"""The command line in this process, on the one workbench that all tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from desktop_scope import cli
from desktop_scope.workbench import Workbench


@pytest.fixture
def shared_workbench(monkeypatch: pytest.MonkeyPatch, workbench: Workbench) -> None:
    """Verbs find the model loaded already."""
    shared = (cli.trace, cli.feature, cli.levers, cli.search, cli.steer, cli.why, cli.flow)
    for verb in (*shared, cli.compare, cli.audit, cli.lens):
        monkeypatch.setattr(verb, "open_workbench", lambda options, evidence=True: workbench)


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str], shared_workbench: None) -> Callable[..., Any]:
    """``as_json("trace", …)``: the one object on standard output."""

    def run(*arguments: str) -> Any:
        assert cli.main([*arguments, "--json"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return json.loads(captured.out)

    return run


@pytest.fixture
def as_table(capsys: pytest.CaptureFixture[str], shared_workbench: None) -> Callable[..., str]:
    """``as_table("trace", …)``: what people read."""

    def run(*arguments: str) -> str:
        assert cli.main(arguments) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``refused("trace", …)``: exit code 2 and one line on standard error, nothing else."""

    def run(*arguments: str) -> str:
        assert cli.main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.endswith("\n")
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("desktop-scope: ")
        return captured.err

    return run
