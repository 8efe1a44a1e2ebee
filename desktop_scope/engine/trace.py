"""Prompt → features at every layer, in one forward pass."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Bools, FeatureActs, Floats, Trace
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_N_NEXT = 10


def residuals_of(
    model: LanguageModel,
    ids: torch.Tensor,
    job: Job,
    steering: Steering | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a text once.

    Args:
        ids: [1, T].
        steering: Applied before a layer's stream is read.

    Returns:
        resid_post [L, T, d_model] in the model's type; hidden [T, d_model] after the final norm.
    """
    n_layers = len(model.parts.blocks)
    dtype = model.W_U.dtype
    residual = torch.empty(n_layers, ids.shape[1], model.d_model, dtype=dtype, device=ids.device)
    changes = steering.edits() if steering else {}

    def edit_of(layer: int) -> Edit:
        def edit(hidden: torch.Tensor) -> torch.Tensor | None:
            job.progress(layer, 2 * n_layers, "Reading the prompt")
            changed = changes[layer](hidden) if layer in changes else None
            residual[layer] = (hidden if changed is None else changed)[0]
            return changed

        return edit

    hidden = model.hidden(ids, {i: edit_of(i) for i in range(n_layers)}, use_cache=False)
    return residual, hidden[0]


def mask_of(residual_norm: Floats, outlier_norms: Floats) -> Bools:
    """Tokens that are not encoded: position 0, and outliers at any layer; [L, T] → [T]."""
    masked: Bools = np.logical_or.reduce(residual_norm > outlier_norms[:, None], axis=0)
    masked[:1] = True
    return masked


def trace(
    model: LanguageModel,
    saes: Sequence[Sae],
    outlier_norms: Floats,
    request: TracePrompt,
    job: Job,
) -> tuple[Trace, torch.Tensor]:
    """Encode a text at every layer.

    Args:
        outlier_norms: [L] residual norm above which a token is not encoded.

    Returns:
        The trace, and the residual stream [L, T, d_model] that it was read from.
    """
    start = time.perf_counter()
    prompt = model.encode(request.prompt)
    all_ids = [*prompt.ids, *request.answer]
    if len(all_ids) > model.info.context:
        raise ScopeError("Prompt and answer are longer than the context.", "Shorten the prompt.")
    ids = torch.tensor([all_ids], device=model.device)
    steering = Steering(request.interventions, saes, outlier_norms.tolist(), model.device)
    with torch.inference_mode():
        residual, hidden = residuals_of(model, ids, job, steering)
        norms = residual.float().norm(dim=-1).cpu().numpy()
        masked = mask_of(norms, outlier_norms)
        acts: list[FeatureActs] = []
        for layer, sae in enumerate(saes):
            job.progress(len(saes) + layer, 2 * len(saes), "Encoding the layers")
            acts.append(sae.encode(residual[layer], masked))
        logprobs, following = model.read_out(hidden, ids[0])
        probs, next_ids = following.softmax(-1).topk(_N_NEXT)
    result = Trace(
        prompt=request.prompt,
        ids=np.array(all_ids, np.int32),
        texts=tuple(model.texts[i] for i in all_ids),
        masked=masked,
        own=np.array([*prompt.own, *(i not in model.stop_ids for i in request.answer)], bool),
        n_prompt=len(prompt.ids),
        acts=tuple(acts),
        logprobs=logprobs,
        residual_norm=norms,
        next_ids=next_ids.cpu().numpy().astype(np.int32),
        next_texts=tuple(model.texts[i] for i in next_ids.tolist()),
        next_probs=probs.cpu().numpy(),
        seconds=time.perf_counter() - start,
        interventions=request.interventions,
    )
    return result, residual


def probe(
    model: LanguageModel,
    sae: Sae,
    index: int,
    ids: list[int],
    outlier_norms: Floats,
    job: Job,
) -> tuple[Floats, Bools]:
    """One feature on one text: activations [T] and mask [T]."""
    with torch.inference_mode():
        tokens = torch.tensor([ids], device=model.device)
        residual, _ = residuals_of(model, tokens, job)
        masked = mask_of(residual.float().norm(dim=-1).cpu().numpy(), outlier_norms)
        values = sae.activation(residual[sae.layer], index).cpu().numpy()
    values[masked] = 0.0
    return values, masked
