"""Prompt → features of every open SAE, in one forward pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Bools, FeatureActs, Floats, Trace
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_N_NEXT = 10


class Activations:
    """What a text's forward pass left at the hooks that somebody reads.

    Attributes:
        residual: resid_post of every layer, [L, T, d_model] in the model's type.
        hidden: After the final norm, [T, d_model].
    """

    def __init__(self, residual: torch.Tensor, hidden: torch.Tensor) -> None:
        self.residual = residual
        self.hidden = hidden
        self.at: dict[HookPoint, torch.Tensor] = {}

    def read_by(self, sae: Sae) -> torch.Tensor:
        """What an SAE encodes, [T, d_in]."""
        reads = sae.weights.reads
        return self.at[reads[0]] if len(reads) == 1 else self.side_by_side(reads)

    def side_by_side(self, points: Sequence[HookPoint]) -> torch.Tensor:
        """Several hooks one after another, [T, sum of widths]."""
        first = self.at[points[0]]
        return torch.cat([self.at[point].to(first.device) for point in points], dim=-1)


def run(
    model: LanguageModel,
    ids: torch.Tensor,
    points: Sequence[HookPoint],
    job: Job,
    steering: Steering | None = None,
    on_layer: Callable[[int], None] | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Activations:
    """Run a text once.

    Args:
        ids: [1, T].
        points: The hooks to keep, beside resid_post of every layer.
        steering: Applied before a hook is read.
        on_layer: Told each layer as it is done.
        more: Passed to the transformers model.
    """
    n_layers = len(model.parts.blocks)
    dtype = model.W_U.dtype
    residual = torch.empty(n_layers, ids.shape[1], model.d_model, dtype=dtype, device=ids.device)
    kept = Activations(residual, residual)
    changes = steering.edits() if steering else {}

    def edit_of(point: HookPoint) -> Edit:
        change, stream = changes.get(point), point == resid_post(point.layer)

        def edit(x: torch.Tensor) -> torch.Tensor | None:
            changed = change(x) if change else None
            now = (x if changed is None else changed)[0]
            if stream:
                residual[point.layer] = now
                kept.at[point] = residual[point.layer]
                if on_layer:
                    on_layer(point.layer)
            elif point in wanted:
                # A copy: some modules go on computing in place.
                kept.at[point] = now.clone()
            job.check()
            return changed

        return edit

    wanted = set(points)
    every = wanted | changes.keys() | {resid_post(layer) for layer in range(n_layers)}
    edits = {point: edit_of(point) for point in sorted(every)}

    def read() -> torch.Tensor:
        return model.hidden(ids, edits, use_cache=False, **more)[0]

    kept.hidden = steering.settle(read) if steering else read()
    return kept


def hooks_of(saes: Sequence[Sae]) -> list[HookPoint]:
    """Every hook that an SAE reads."""
    return sorted({point for sae in saes for point in sae.weights.reads})


def mask_of(saes: Sequence[Sae], kept: Activations) -> Bools:
    """Tokens that no SAE encodes: position 0, and outliers of any of them; [T]."""
    masked = np.zeros(len(kept.hidden), bool)
    masked[:1] = True
    for sae in saes:
        if sae.outlier_norm < np.inf:
            norm = kept.read_by(sae).float().norm(dim=-1)
            masked |= (norm > sae.outlier_norm).cpu().numpy()
    return masked


def own_mask(sae: Sae, masked: Bools) -> Bools:
    """Tokens that one SAE does not encode; [T]."""
    if sae.weights.skip_positions <= 1:
        return masked
    return masked | (np.arange(len(masked)) < sae.weights.skip_positions)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A text's activations and features."""

    kept: Activations
    masked: Bools  # [T]
    acts: tuple[FeatureActs, ...]  # [S]
    logprobs: Floats  # [T]
    following: torch.Tensor  # [vocabulary] logits after the last token


def encode_ids(
    model: LanguageModel,
    saes: Sequence[Sae],
    ids: torch.Tensor,
    job: Job,
    steering: Steering | None = None,
) -> Encoded:
    """Run token ids [1, T] once and encode them with every SAE."""
    n_layers = model.info.n_layers
    steps = n_layers + len(saes)
    kept = run(
        model,
        ids,
        hooks_of(saes),
        job,
        steering,
        lambda layer: job.progress(layer, steps, "Reading the prompt"),
    )
    masked = mask_of(saes, kept)
    acts: list[FeatureActs] = []
    for sae in saes:
        job.progress(n_layers + len(acts), steps, "Encoding the layers")
        acts.append(sae.encode(kept.read_by(sae).to(sae.device), own_mask(sae, masked)))
    logprobs, following = model.read_out(kept.hidden, ids[0])
    return Encoded(kept, masked, tuple(acts), logprobs, following)


Recorded = Callable[[torch.Tensor], Encoded | None]


def trace(
    model: LanguageModel,
    saes: Sequence[Sae],
    request: TracePrompt,
    job: Job,
    recorded: Recorded = lambda ids: None,
) -> tuple[Trace, Activations]:
    """Encode a text with every SAE.

    Args:
        recorded: A faster way from ids [1, T] to what ``encode_ids`` gives without steering; None
            where it has none for them.

    Returns:
        The trace, and what its forward pass left.
    """
    start = time.perf_counter()
    prompt = model.encode(request.prompt)
    all_ids = [*prompt.ids, *request.answer]
    if len(all_ids) > model.info.context:
        raise ScopeError("Prompt and answer are longer than the context.", "Shorten the prompt.")
    ids = torch.tensor([all_ids], device=model.device)
    steering = Steering(request.interventions, saes)
    steering.n_prompt.fill_(len(prompt.ids))
    with torch.inference_mode():
        found = None if request.interventions else recorded(ids)
        found = found or encode_ids(model, saes, ids, job, steering)
        check_finite(found.kept.residual)
        probs, next_ids = found.following.softmax(-1).topk(_N_NEXT)
    result = Trace(
        prompt=request.prompt,
        ids=np.array(all_ids, np.int32),
        texts=tuple(model.texts[i] for i in all_ids),
        masked=found.masked,
        own=np.array([*prompt.own, *(i not in model.stop_ids for i in request.answer)], bool),
        n_prompt=len(prompt.ids),
        acts=found.acts,
        logprobs=found.logprobs,
        residual_norm=found.kept.residual.float().norm(dim=-1).cpu().numpy(),
        next_ids=next_ids.cpu().numpy().astype(np.int32),
        next_texts=tuple(model.texts[i] for i in next_ids.tolist()),
        next_probs=probs.cpu().numpy(),
        seconds=time.perf_counter() - start,
        interventions=request.interventions,
        firings=steering.firings(),
    )
    return result, found.kept


def check_finite(residual: torch.Tensor) -> None:
    """Whether a pass went well; residual streams are [L, T, d_model].

    Raises:
        ScopeError: It did not; says at which layer.
    """
    bad = (~residual.isfinite()).flatten(1).any(1).nonzero()
    if len(bad):
        raise ScopeError(
            f"The model broke down: from layer {int(bad[0])} on its numbers are no numbers any "
            "more (NaN or infinity).",
            "If it is steered: turn the strengths down. If not, try another number type.",
        )


def probe(
    model: LanguageModel, saes: Sequence[Sae], sae: Sae, index: int, ids: list[int], job: Job
) -> tuple[Floats, Bools]:
    """One feature on one text: activations [T] and mask [T]."""
    with torch.inference_mode():
        tokens = torch.tensor([ids], device=model.device)
        kept = run(model, tokens, hooks_of(saes), job)
        masked = own_mask(sae, mask_of(saes, kept))
        values = sae.activation(kept.read_by(sae).to(sae.device), index).cpu().numpy()
    values[masked] = 0.0
    return values, masked
