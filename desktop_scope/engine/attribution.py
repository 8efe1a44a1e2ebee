"""Why this answer and not that one: what every feature contributes to the difference.

With y what an SAE writes at a token, f its features and d their decoder rows,
``y = Σ fᵢ·dᵢ + bias + error``, and m the difference of the answers' log-probabilities:

    effect of feature i = fᵢ · (g · dᵢ),  of the error = g · error,  of the bias = g · bias

They sum to ``g · y``. The gradient g of m by y is, by method:

    gradient  ∂m/∂y, of the model as it is (gradient × activation, attribution patching)
    relp      ∂m/∂y, of the model linearised by the rules in ``linearising``
    ig        the mean of ∂m/∂y while the SAE's features are scaled from 0 to 1, bias and error
              kept (integrated gradients; Marks et al., "Sparse Feature Circuits")

Nothing is encoded at masked tokens: there, all of y counts as error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

from desktop_scope.engine.ablating import padded
from desktop_scope.engine.devices import QUANTISED
from desktop_scope.engine.families import Side
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.linearising import linearised
from desktop_scope.engine.memory import available
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.questions import Attribution, Method
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.trace import Activations, mask_of, own_mask
from desktop_scope.engine.types import FeatureActs, Floats
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_STEPS = 5  # of ig, at the middle of equal parts of the way
_TOKENS_AT_ONCE = 1024  # of ig: bounds the memory of its passes
_KEPT_PER_TOKEN = 40  # times d_model numbers that a layer keeps for its backward pass, roughly


class Pass:
    """One forward pass that gradients can be asked of.

    Attributes:
        at: By hook point, the activations there, [batch, pos, width].
        hidden: After the final norm.
    """

    def __init__(
        self,
        model: LanguageModel,
        ids: torch.Tensor,
        points: Sequence[HookPoint],
        job: Job,
        change: Callable[[HookPoint, torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self._job = job
        self.at: dict[HookPoint, torch.Tensor] = {}

        def keep(point: HookPoint) -> Edit:
            def edit(x: torch.Tensor) -> torch.Tensor:
                y = x if change is None else change(point, x)
                y = y.clone() if y.requires_grad else y.detach().clone().requires_grad_()
                y.register_hook(lambda _: job.check())  # type: ignore[no-untyped-call]
                self.at[point] = y
                return y

            return edit

        edits = checked({point: keep(point) for point in points}, model.parts, job.check)
        with torch.enable_grad():
            self.hidden = model.hidden(ids, edits, use_cache=False)

    def gradients(self, target: torch.Tensor, *points: HookPoint) -> list[torch.Tensor]:
        """Of a number, by the activations at some points; 0 where it does not depend on them."""
        found = torch.autograd.grad(
            target, [self.at[p] for p in points], allow_unused=True, retain_graph=True
        )
        return [
            torch.zeros_like(self.at[p]) if g is None else g
            for p, g in zip(points, found, strict=True)
        ]


class Reading:
    """A text read once, and followed back from the difference of its answers.

    Attributes:
        kept: Activations of every token once.
        masked: Tokens that no SAE encodes.
        logprobs: Of both answers.
    """

    def __init__(
        self,
        model: LanguageModel,
        saes: Sequence[Sae],
        fork: Fork,
        job: Job,
        method: Method,
        frozen_attention: bool,
    ) -> None:
        self.saes = saes
        points = sorted({p for s in saes for p in (*s.weights.reads, *s.weights.writes)})
        with gradients_of(model):
            job.progress(0, 3, "Reading the text")
            with following(model, method, frozen_attention):
                forward = Pass(model, padded(fork.rows, model.device), points, job)
            logprobs = fork.logprobs(model, forward.hidden)
            difference = logprobs[0] - logprobs[1]
            if not difference.isfinite():
                raise ScopeError(
                    "The model's probabilities are not finite here.",
                    "Choose the number type float32, and switch off what is turned up.",
                )
            job.progress(1, 3, "Following it back")
            found = [] if method is Method.IG else forward.gradients(difference, *points)
        answer, instead = logprobs.tolist()
        self.logprobs: tuple[float, float] = answer, instead
        self._gradients = {p: fork.summed(g) for p, g in zip(points, found, strict=False)}
        self.kept = Activations(forward.hidden[0], fork.flat(forward.hidden.detach()))
        self.kept.at = {point: fork.flat(y.detach()) for point, y in forward.at.items()}
        self.masked = mask_of(saes, self.kept)

    def gradients_at(self, points: Sequence[HookPoint]) -> torch.Tensor:
        """∂m of every token's activations, side by side."""
        first = self._gradients[points[0]].device
        return torch.cat([self._gradients[point].to(first) for point in points], dim=-1)


def integrated(
    model: LanguageModel, sae: Sae, fork: Fork, active: torch.Tensor, job: Job
) -> torch.Tensor:
    """The mean of ∂m/∂y while what an SAE's features write comes on, [T, d_out].

    Args:
        active: What they write, [T, d_out].
    """
    ids, writes = padded(fork.rows, model.device), sae.weights.writes
    each = torch.tensor_split(active, len(writes), -1)
    missing = {point: fork.unflat(part) for point, part in zip(writes, each, strict=True)}
    total = active.new_zeros(len(writes), len(active), active.shape[-1] // len(writes))
    for alphas in np.array_split((np.arange(_STEPS) + 0.5) / _STEPS, _runs(ids.numel())):
        off = torch.tensor(1 - alphas, device=model.device, dtype=torch.float32)[:, None, None]

        def change(point: HookPoint, y: torch.Tensor, off: torch.Tensor = off) -> torch.Tensor:
            part = missing[point].to(y.device)
            scaled = (off.to(y.device)[:, None] * part).flatten(0, 1)
            return y - scaled.to(y.dtype)

        with torch.inference_mode(False), gradients_of(model):
            forward = Pass(model, ids.repeat(len(alphas), 1), writes, job, change)
            rows = torch.tensor_split(forward.hidden, len(alphas))
            sides = torch.stack([fork.logprobs(model, row) for row in rows])
            found = forward.gradients((sides[:, 0] - sides[:, 1]).sum(), *writes)
        for n, gradient in enumerate(found):
            for part in torch.tensor_split(gradient, len(alphas)):
                total[n] += fork.summed(part).to(total.device)
    return torch.cat(list(total), -1) / _STEPS


def _runs(tokens: int) -> int:
    """In how many passes the steps are made."""
    return min(_STEPS, -(-tokens * _STEPS // _TOKENS_AT_ONCE))


def attribute(
    model: LanguageModel,
    saes: Sequence[Sae],
    fork: Fork,
    job: Job,
    method: Method = Method.GRADIENT,
    frozen_attention: bool = True,
) -> Attribution:
    """What every feature, error and bias contributes to ``log p(answer) − log p(instead)``.

    Args:
        frozen_attention: Whether ``relp`` holds the attention patterns as they are.

    Raises:
        ScopeError: No SAE can be explained, this model has no gradients, or too little memory.
        Cancelled: The job was.
    """
    start = time.perf_counter()
    slots = [slot for slot, sae in enumerate(saes) if _explainable(model, sae)]
    if not slots:
        raise ScopeError(
            "None of the open SAEs writes to the stream." if saes else "No SAE is open.",
            "Open SAEs of the residual stream, of attention or of MLPs first.",
        )
    demand_memory(model, len(fork.rows), max(map(len, fork.rows)))
    read = Reading(model, [saes[s] for s in slots], fork, job, method, frozen_attention)
    parts = []
    with torch.inference_mode():
        for n, sae in enumerate(read.saes):
            job.progress(n, len(slots), "Weighing the features")
            kept, writes = read.kept, sae.weights.writes
            acts = sae.encode(kept.read_by(sae).to(sae.device), own_mask(sae, read.masked))
            if method is Method.IG:
                g = integrated(model, sae, fork, sae.active(acts, kept.read_by(sae)), job)
            else:
                g = read.gradients_at(writes)
            y = kept.side_by_side(writes)
            parts.append((acts, *split(sae, acts, kept.read_by(sae), y, g)))
    every_acts, effects, errors, biases = zip(*parts, strict=True)
    return Attribution(
        ids=fork.ids,
        texts=tuple(model.texts[i] for i in fork.ids),
        n_text=len(fork.text),
        answer=fork.answer,
        instead=fork.instead,
        logprobs=read.logprobs,
        method=method,
        slots=tuple(slots),
        acts=every_acts,
        effects=effects,
        errors=np.stack(errors),
        biases=np.stack(biases),
        left_out=tuple(s.weights.name for n, s in enumerate(saes) if n not in slots),
        seconds=time.perf_counter() - start,
    )


def split(
    sae: Sae, acts: FeatureActs, x: torch.Tensor, y: torch.Tensor, g: torch.Tensor
) -> tuple[Floats, Floats, Floats]:
    """What features [nnz], error [T] and bias [T] contribute.

    Args:
        x: What the SAE read, [T, d_in].
        y: What it writes, [T, d_out].
        g: The gradient there.
    """
    g, rows = g.float(), acts.rows()
    index, place = np.unique(acts.indices, return_inverse=True)
    slopes = (g * sae.scale(x)).cpu() @ sae.decoder_rows(index).T
    effects = (acts.values * slopes.numpy()[rows, place]).astype(np.float32)
    encoded = np.diff(acts.indptr) > 0
    bias = np.where(encoded, (g * sae.silent(x)).sum(-1).cpu().numpy(), 0)
    whole = (g * y.float()).sum(-1).cpu().numpy()
    error = whole - bias - np.bincount(rows, effects, len(whole))
    return effects, error.astype(np.float32), bias.astype(np.float32)


def _explainable(model: LanguageModel, sae: Sae) -> bool:
    """Whether what it writes is there to be changed, and nothing of it is counted twice."""
    writes = sae.weights.writes
    streams = (Site.EMBED, Site.RESID_PRE, Site.RESID_MID, Site.RESID_POST)
    if len(writes) > 1 and any(point.site in streams for point in writes):
        return False  # a crosscoder: a later layer's stream holds what an earlier one's had
    return all(model.parts.tap(point).side is not Side.NORMALIZED for point in writes)


def demand_memory(model: LanguageModel, rows: int, length: int) -> None:
    """Whether so many texts of a length can be followed back.

    Raises:
        ScopeError: They cannot.
    """
    tokens = rows * length
    numbers = tokens * model.info.n_layers * _KEPT_PER_TOKEN * model.d_model
    needed, free = numbers * model.W_U.element_size(), available(model.device)
    if needed > free:
        raise ScopeError(
            f"To explain {tokens:,} tokens takes about {needed / 1e9:.0f} GB; "
            f"{free / 1e9:.0f} GB are free.",
            "Shorten the prompt.",
        )


def following(
    model: LanguageModel, method: Method, frozen_attention: bool
) -> AbstractContextManager[None]:
    """Within it passes are made whose gradients are those of a method."""
    if method is not Method.RELP:
        return nullcontext()
    return linearised(model.parts, frozen_attention)


@contextmanager
def gradients_of(model: LanguageModel) -> Iterator[None]:
    """Says in plain words that a model's weights have no backward pass."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        if model.info.dtype not in QUANTISED and model.info.device != "spread":
            raise
        raise ScopeError(
            f"This model cannot be followed back as it is loaded ({model.info.dtype}, "
            f"{model.info.device}): {error}",
            "Load it in bfloat16 or float32 on one device.",
        ) from error
