"""How much memory a model would take, asked before it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.devices import import_torch
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Fit
from desktop_scope.engine.worker import Job

_SPREAD = "spread"


@dataclass(frozen=True)
class MeasureRoom(Request):
    """What a model's folder needs, in a number type on a device."""

    kind = "room"
    replaces = frozenset({"room"})

    path: Path
    dtype: str
    device: str


@dataclass(frozen=True)
class Room(Fit):
    """What a model needs and what there is.

    Attributes:
        request: What was asked.
        dtype: The number type, where ``auto`` was asked the one that it means.
        device: The same of the device.
    """

    request: MeasureRoom
    dtype: str
    device: str


def measure_room(request: MeasureRoom, job: Job) -> Room:
    """What a model needs; only headers are read.

    Raises:
        ScopeError: Its weights are missing or damaged, or the device is not there.
    """
    import_torch()
    job.check()
    from desktop_scope.engine.devices import choose_device, choose_dtype
    from desktop_scope.engine.memory import fit

    device = choose_device("auto" if request.device == _SPREAD else request.device)
    kind = str(choose_dtype(request.dtype, device)).removeprefix("torch.")
    dtype = kind if request.dtype == "auto" else request.dtype
    found = fit(request.path, dtype, device)
    return Room(
        request=request,
        dtype=dtype,
        device=_SPREAD if request.device == _SPREAD else device.type,
        needed=found.needed,
        available=found.available,
        advice=found.advice,
    )
