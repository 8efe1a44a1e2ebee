"""What SAE files say of themselves: their headers are read once, weights never."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from desktop_scope.errors import ScopeError
from desktop_scope.library import sae_memory
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.entries import SaeDetails, SaeEntry, as_text
from desktop_scope.library.recognising import formats
from desktop_scope.library.sae_memory import Known, SaeMemory, state_of

if TYPE_CHECKING:
    from desktop_scope.engine.sae_weights import SaeWeights


def recall(saes: Iterable[SaeEntry]) -> tuple[SaeEntry, ...]:
    """The entries, with details where they were read before and nothing changed since."""
    memory = sae_memory.load()
    return tuple(_recalled(sae, memory) or sae for sae in saes)


def _ignore(sae: SaeEntry) -> None:
    """Nobody waits for single entries."""


def read_details(
    saes: Sequence[SaeEntry],
    progress: Progress = silent,
    check: Check = never,
    found: Callable[[SaeEntry], None] = _ignore,
) -> tuple[SaeEntry, ...]:
    """The entries with their details, or with the reason why they cannot be opened.

    Args:
        saes: What a scan found.
        progress: Told how many are done.
        check: Asked before each one whether to stop; what was read until then is remembered.
        found: Given every entry as soon as it is read.

    Raises:
        Cancelled: ``check`` said so.
    """
    memory, entries = sae_memory.load(), []
    before = dict(memory.known)
    try:
        for done, sae in enumerate(saes):
            check()
            progress(done, len(saes), f"Reading {sae.id}")
            entry = _recalled(sae, memory) or _read(sae, memory)
            entries.append(entry)
            found(entry)
    finally:
        if memory.known != before:
            sae_memory.save(memory)
    return tuple(entries)


def _recalled(sae: SaeEntry, memory: SaeMemory) -> SaeEntry | None:
    known = memory.known.get(as_text(sae.path))
    if known is None or not known.saes or known.state != state_of(sae.path):
        return None
    return replace(sae, details=known.saes, problem="")


def _read(sae: SaeEntry, memory: SaeMemory) -> SaeEntry:
    state = state_of(sae.path)
    try:
        details = tuple(_details(weights) for weights in formats().open_sae(sae.path))
    except ScopeError as error:
        return replace(sae, details=(), problem=str(error))
    except Exception as error:  # a file can be odd in more ways than a format foresees
        return replace(sae, details=(), problem=f"{type(error).__name__}: {error}")
    memory.known[as_text(sae.path)] = Known(state, details)
    return replace(sae, details=details, problem="")


def _details(weights: SaeWeights) -> SaeDetails:
    return SaeDetails(
        name=weights.name,
        format=weights.format,
        architecture=str(weights.architecture),
        reads=tuple(hook.name for hook in weights.reads),
        writes=tuple(hook.name for hook in weights.writes),
        layer=weights.reads[0].layer,
        d_in=weights.d_in,
        d_out=weights.d_out,
        d_sae=weights.d_sae,
        model=weights.model,
        declared_l0=weights.declared_l0,
    )
