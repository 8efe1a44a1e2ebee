"""Requests and answers of exporting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.cost_types import Damage
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Intervention


@dataclass(frozen=True)
class Export(Request):
    """Write interventions for others to use.

    Attributes:
        path: A file, or a folder that is not there yet.
        texts: Compared on these besides the neutral ones.
    """

    worker = "engine"

    interventions: tuple[Intervention, ...]
    path: Path
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportVector(Export):
    """As a control vector: ``.gguf`` for llama.cpp, or ``.safetensors``."""

    kind = "export-vector"
    replaces = frozenset({"export-vector"})


@dataclass(frozen=True)
class ExportModel(Export):
    """As a copy of the open model in which they are part of the weights."""

    kind = "export-model"
    replaces = frozenset({"export-model"})


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares.

    Attributes:
        files: What was written.
        apart: Largest difference of any token's log-probability between the exported thing, read
            again, and the interventions at every token, nats.
        n_tokens: How many tokens were compared, each with all of the vocabulary.
        beyond: Largest difference between the exported thing and the interventions as they were
            given, nats: what acts at every token and in every layer does more than they may say.
        notes: In what it differs from them.
        damage: What the exported thing costs.
    """

    files: tuple[Path, ...]
    apart: float
    n_tokens: int
    beyond: float
    notes: tuple[str, ...]
    damage: Damage
