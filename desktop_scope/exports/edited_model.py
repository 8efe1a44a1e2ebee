"""A copy of the model in which steering is part of the weights.

An addition becomes a bias of what writes last in its block, the MLP's output projection. A
direction that is taken out is taken out of everything that writes to the residual stream: of the
embeddings and of the output projections of all attentions and MLPs, W ← W − d̂ d̂ᵀ W (Arditi et al.
2024, weight orthogonalisation). So the stream never has it, at no token and in no layer.

Not every architecture has room for either. Whatever is written is opened again as any other model
and compared; what does not come out the same is not kept.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from desktop_scope.engine.devices import QUANTISED
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.families import Parts, parts_of
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.loading import SPREAD, load_model, read_weights
from desktop_scope.engine.types import Intervention, Mode, ModelInfo, Vector
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.exports.comparing import Comparison, Way, put_in_place
from desktop_scope.exports.fixed import (
    EVERYWHERE,
    added,
    at_every_token,
    directions,
    notes_on,
)
from desktop_scope.exports.types import Export, Exported

_AGREEMENT = {"float32": 0.01}  # nats
_HALF_AGREEMENT = 0.5  # of numbers of 16 bits, in which a changed weight is rounded anew
_OUTPUTS = ("down_proj", "fc2", "dense_4h_to_h", "c_proj", "fc_out")  # of MLPs, in all families
_TOKENIZER = re.compile(
    r"tokenizer.*|.*vocab.*|merges\.txt|special_tokens_map\.json|added_tokens\.json|tekken\.json|"
    r"chat_template.*|generation_config\.json|.*LICEN[CS]E.*"
)


def export_model(engine: Engine, request: Export, job: Job) -> Exported:
    """Write a changed copy, open it, and compare.

    Raises:
        ScopeError: The architecture has no room for the change, the copy cannot be written, or it
            does not do the same.
        Cancelled: The job was; nothing is left behind.
    """
    info, folder, items = engine.model.info, request.path, request.interventions
    _demand_whole(info)
    if folder.exists():
        raise ScopeError(f"{folder} exists already.", "Choose a folder that is not there yet.")
    rows, vectors, notes = None, None, notes_on(items)
    if any(item.mode is Mode.PROJECT for item in items):
        rows = directions(engine, items)
        steered = _taken_out(engine, rows)
        notes = ("The direction is taken out of every layer, not only where it was read.", *notes)
    else:
        vectors, steered = added(engine, items), at_every_token(items)
    comparison = Comparison(engine, request, steered, notes)
    with put_in_place(folder) as part:
        _demand_space(part.parent, info)
        job.progress(0, 0, "Changing a copy of the model")
        _write(part, info, rows, vectors)
        copy = load_model(
            part, info.id, job, info.device, info.dtype,
            raw_first_token=engine.model.raw_first_token,
        )  # fmt: skip
        most = _AGREEMENT.get(info.dtype, _HALF_AGREEMENT)
        hint = "Export a control vector instead, or steer within this program."
        comparison.demand_same(Way(copy), most, hint, job)
        del copy
    return comparison.told(tuple(sorted(folder.iterdir())), job)


def _write(
    folder: Path,
    info: ModelInfo,
    rows: torch.Tensor | None,
    vectors: Mapping[int, torch.Tensor] | None,
) -> None:
    """The changed copy: without the directions, or with what is added."""
    model = read_weights(Path(info.path), dtype=info.dtype)
    if rows is not None:
        _without(model, rows)
    elif vectors is not None:
        model = _with_biases(model, vectors, info)
    model.save_pretrained(folder)
    _copy_tokenizer(Path(info.path), folder)


def _demand_whole(info: ModelInfo) -> None:
    if info.dtype in QUANTISED or info.device == SPREAD:
        raise ScopeError(
            "The open model is not in memory as it is on the disk.",
            "Open it on one device and in 16 or 32 bits, then export.",
        )


def _demand_space(folder: Path, info: ModelInfo) -> None:
    free = shutil.disk_usage(folder).free
    if free < 1.1 * info.bytes:
        raise ScopeError(
            f"The copy takes about {info.bytes >> 20:,} MiB in {folder}; {free >> 20:,} MiB are "
            "free.",
            "Make room, or choose another place.",
        )


def _copy_tokenizer(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.is_file() and _TOKENIZER.fullmatch(file.name) and not (target / file.name).exists():
            shutil.copyfile(file, target / file.name)


# ---- additions


def _with_biases(model: Any, vectors: Mapping[int, torch.Tensor], info: ModelInfo) -> Any:
    """The model with what is added as biases.

    Raises:
        ScopeError: It has no such biases, or what the MLP puts out is not what is added.
    """
    parts = parts_of(model)
    for block in vectors:
        _demand_last(parts, block)
    if any(_output_of(parts, block).bias is None for block in vectors):
        config = model.config
        text = config.get_text_config(decoder=True)
        if not hasattr(text, "mlp_bias"):
            raise ScopeError(
                f"{type(model).__name__} has no room for biases in its MLPs.",
                "Export a control vector instead.",
            )
        text.mlp_bias = True
        model = read_weights(
            Path(info.path), dtype=info.dtype, config=config, may_lack=r".*\.mlp\..*\.bias"
        )
        parts = parts_of(model)
        for layer in range(len(parts.blocks)):
            for linear in _linears(_mlp(parts, layer)):
                linear.bias.data.zero_()
    for block, vector in vectors.items():
        scale = parts.tap(HookPoint(block, Site.MLP_OUT)).scale
        bias = _output_of(parts, block).bias.data
        bias += (vector / scale).to(bias.device, bias.dtype)
    return model


def _demand_last(parts: Parts, block: int) -> None:
    raw, out = (parts.tap(HookPoint(block, site)) for site in (Site.MLP_RAW, Site.MLP_OUT))
    if raw.module is not out.module:
        raise ScopeError(
            "In this model a norm stands between the MLP and the residual stream: no bias adds the "
            "same at every token.",
            "Export a control vector instead.",
        )


def _mlp(parts: Parts, block: int) -> nn.Module:
    return parts.tap(HookPoint(block, Site.MLP_RAW)).module


def _linears(module: nn.Module) -> list[Any]:
    """Linear layers, and GPT-2's Conv1D, which is one with its weight turned round."""
    return [m for m in module.modules() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"]


def _output_of(parts: Parts, block: int) -> Any:
    """The output projection of a block's MLP.

    Raises:
        ScopeError: There is none, or there are several (experts).
    """
    named = dict(_mlp(parts, block).named_modules())
    found = [module for name, module in named.items() if name.rpartition(".")[2] in _OUTPUTS]
    if len(found) != 1 or found[0] not in _linears(found[0]):
        raise ScopeError(
            "The MLPs of this model have several outputs (experts), or none that is known.",
            "Export a control vector instead.",
        )
    return found[0]


# ---- directions taken out


def _taken_out(engine: Engine, rows: torch.Tensor) -> tuple[Intervention, ...]:
    """The same while the model runs: wherever something was written to the stream."""
    parts = engine.model.parts
    hooks = [HookPoint(0, Site.RESID_PRE).name]
    for layer in range(len(parts.blocks)):
        hooks += [p.name for p in (HookPoint(layer, Site.RESID_MID),) if p in parts.taps]
        hooks.append(resid_post(layer).name)
    return tuple(
        Intervention(
            mode=Mode.PROJECT,
            vector=Vector(f"direction {n + 1}", hooks[0], row.float().numpy().tobytes()),
            positions=EVERYWHERE,
            hooks=tuple(hooks),
        )
        for n, row in enumerate(rows)
    )


def _without(model: Any, rows: torch.Tensor) -> None:
    """Take orthonormal directions [n, d_model] out of all that writes to the stream, in place.

    Raises:
        ScopeError: Something is written through a norm, or by experts.
    """
    parts = parts_of(model)
    for block in range(len(parts.blocks)):
        _demand_last(parts, block)
        attn = [HookPoint(block, site) for site in (Site.ATTN_RAW, Site.ATTN_OUT)]
        if parts.tap(attn[0]).module is not parts.tap(attn[1]).module:
            raise ScopeError(
                "In this model a norm stands between attention and the residual stream, which "
                "brings the direction back.",
                "Project it out while the model runs instead.",
            )
    _untie(model)
    with torch.no_grad():
        for module in parts.decoder.modules():
            if isinstance(module, nn.Embedding) and module.weight.shape[1] == rows.shape[1]:
                _project(module.weight, rows, axis=1)
        for block in range(len(parts.blocks)):
            for linear in (parts.tap(HookPoint(block, Site.Z)).module, _output_of(parts, block)):
                # A weight is [d_out, d_in]; Conv1D keeps it the other way round.
                _project(linear.weight, rows, axis=0 if isinstance(linear, nn.Linear) else 1)
                if linear.bias is not None:
                    _project(linear.bias, rows, axis=0)


def _untie(model: Any) -> None:
    """Give the unembedding, which reads the stream, weights of its own."""
    output, inputs = model.get_output_embeddings(), model.get_input_embeddings()
    if output.weight is inputs.weight:
        output.weight = nn.Parameter(inputs.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
        model.config.get_text_config(decoder=True).tie_word_embeddings = False


def _project(weight: torch.Tensor, rows: torch.Tensor, axis: int) -> None:
    """Take the directions out along one axis, computed in float64."""
    w = weight.detach().double().movedim(axis, -1)
    w = w - (w @ rows.T) @ rows
    weight.copy_(w.movedim(-1, axis))
