"""Additions as a control vector, for llama.cpp and others.

llama.cpp adds ``direction.N`` to what block N puts out, at every token; block 0 it cannot reach.
Source: llama.cpp ``llama-adapter.cpp``, repeng.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.requests import ReadVector
from desktop_scope.engine.types import Floats, Intervention, Mode, ModelInfo
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.exports.comparing import Comparison, Way, put_in_place
from desktop_scope.exports.fixed import EVERYWHERE, added, at_every_token, notes_on
from desktop_scope.exports.types import Export, Exported
from desktop_scope.library.vector_file import read_vectors

_SUFFIXES = (".gguf", ".safetensors")
_AGREEMENT = 0.01  # nats; the file holds the same float32 numbers


def export_vector(engine: Engine, request: Export, job: Job) -> Exported:
    """Write additions as a file, read it again, and compare.

    Raises:
        ScopeError: They are more than additions, the format cannot hold them, the file cannot be
            written, or it does not do the same.
        Cancelled: The job was; nothing is left behind.
    """
    path, info = request.path, engine.model.info
    if path.suffix.lower() not in _SUFFIXES:
        raise ScopeError(
            f"{path.name} says no format of vectors.",
            "End it in .gguf for llama.cpp, or in .safetensors.",
        )
    vectors = {block: v.numpy() for block, v in added(engine, request.interventions).items()}
    if path.suffix.lower() == ".gguf" and 0 in vectors:
        raise ScopeError(
            "llama.cpp cannot add anything after the first block (layer 0).",
            "Steer at layer 1 or later, or write a .safetensors file.",
        )
    steered = at_every_token(request.interventions)
    comparison = Comparison(engine, request, steered, notes_on(request.interventions))
    with put_in_place(path, path.suffix) as part:
        _write(part, vectors, info, request.interventions)
        written = tuple(
            Intervention(amount=v.norm, mode=Mode.ADD, vector=v, positions=EVERYWHERE)
            for v in read_vectors(ReadVector(part), info)
        )
        hint = "Please report it, with the strengths that were set."
        comparison.demand_same(Way(engine.model, (), written), _AGREEMENT, hint, job)
    return comparison.told((path,), job)


def _write(
    path: Path, vectors: Mapping[int, Floats], info: ModelInfo, items: tuple[Intervention, ...]
) -> None:
    if path.suffix.lower() == ".gguf":
        _write_gguf(path, vectors, info)
        return
    from safetensors.numpy import save_file

    about = {
        "model": info.id,
        "adds_to": "blocks.N.hook_resid_post of direction.N, at every token",
        "strengths": json.dumps([item.amount for item in items]),
    }
    save_file({f"direction.{n}": vector for n, vector in vectors.items()}, path, about)


def _write_gguf(path: Path, vectors: Mapping[int, Floats], info: ModelInfo) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "controlvector")
    try:
        writer.add_string("controlvector.model_hint", _llama_cpp_name(info))
        writer.add_uint32("controlvector.layer_count", len(vectors))
        for block, vector in vectors.items():
            writer.add_tensor(f"direction.{block}", np.ascontiguousarray(vector, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _llama_cpp_name(info: ModelInfo) -> str:
    """As llama.cpp calls an architecture: ``llama``, ``gemma3``. It is a hint, and no more."""
    name = info.architecture
    for ending in ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel"):
        name = name.removesuffix(ending)
    return name.lower()
