"""The real engine, and an independent float64 model to compare it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plain_model import PlainModel

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.requests import Generate, TracePrompt
from desktop_scope.engine.types import Generation, Trace
from desktop_scope.engine.worker import silent_job
from desktop_scope.workbench import Workbench


@pytest.fixture(scope="session")
def engine(workbench: Workbench) -> Engine:
    return workbench.engine


@pytest.fixture(scope="session")
def plain(demo_model_dir: Path) -> PlainModel:
    return PlainModel(demo_model_dir)


@pytest.fixture(scope="session")
def trace(engine: Engine) -> Callable[..., Trace]:
    """``trace(prompt, …)`` as a request of the real engine."""
    return lambda *args, **more: engine.trace(TracePrompt(*args, **more), silent_job())


@pytest.fixture(scope="session")
def generate(engine: Engine) -> Callable[..., tuple[Generation, ...]]:
    """``generate(prompt, …)`` as a request of the real engine."""
    return lambda *args, **more: engine.generate(Generate(*args, **more), silent_job())
