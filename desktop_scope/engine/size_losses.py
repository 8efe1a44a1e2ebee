"""What the dictionaries of one site lose of a text: nested prefixes, or SAEs of different width.

- FVU, the fraction of variance unexplained: Σ‖y − ŷ‖² / Σ‖y − mean(y)‖² over the text's tokens.
- CE recovered (loss recovered): (CE_mean − CE_size) / (CE_mean − CE): the reconstruction really
  takes the place of what is written there, its error left out, and the model reads on; 0 is as bad
  as the text's own mean in its place. The field also uses zero instead of the mean, which gives
  higher figures; both are kept.

ŷ of a prefix is decoded from the first features of the whole encoding. For relu, jumprelu and gated
SAEs that is exactly what the prefix alone would encode. Where a fixed number of features is active
(topk and its like) they are chosen among all, as in the training of nested SAEs, and those beyond
the prefix are then dropped. Tokens that the SAE does not encode stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sizes import Rung, SiteLosses, SizeLoss
from desktop_scope.engine.types import Trace
from desktop_scope.engine.worker import Job

_TOKENS_AT_ONCE = 512  # of a pass that is lost when it is cancelled


@dataclass(eq=False)
class _Text:
    """One text, and what has been measured of it so far.

    Attributes:
        spliced: Nats per token with the output of a hook replaced, by hook and by what.
    """

    trace: Trace
    ids: torch.Tensor
    kept: tracing.Activations
    ce: float
    spliced: dict[tuple[HookPoint, Rung | str], float] = field(default_factory=dict)


class SizeMeter:
    """Measures one text at a time, and goes on where it was cancelled."""

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self._model, self._saes = model, saes
        self._text: _Text | None = None

    def measure(self, trace: Trace, rungs: Sequence[Rung], job: Job) -> SiteLosses:
        """What every one of some dictionaries of one site loses.

        Raises:
            Cancelled: The job was; what was measured by then is not measured again.
        """
        slots = tuple(sorted({rung.slot for rung in rungs}))
        if not all(_stands_alone(self._saes[slot]) for slot in slots):
            return SiteLosses(slots, trouble="Only measured where an SAE writes one place alone.")
        with torch.inference_mode():
            text = self._read(trace, job)
            at = self._saes[slots[0]].weights.writes[0]
            y = text.kept.at[at].float()
            masked = tracing.mask_of(self._saes, text.kept)
            skipped = {slot: tracing.own_mask(self._saes[slot], masked) for slot in slots}
            encoded = torch.from_numpy(~np.logical_or.reduce(list(skipped.values()))).to(y.device)
            if not encoded.any():
                return SiteLosses(slots, trouble="No token of this text is encoded.")
            guesses: dict[Rung | str, torch.Tensor] = {
                "mean": y[encoded].mean(0).expand_as(y),
                "zero": torch.zeros_like(y),
            }
            l0 = {}
            for rung in rungs:
                guesses[rung], l0[rung] = self._guess(rung, text, skipped[rung.slot])
            self._splice(text, at, y, encoded, guesses, job)
            spread = (y[encoded].double() - y[encoded].double().mean(0)).square().sum()
            sizes = []
            for rung in rungs:
                wrong = (y[encoded] - guesses[rung][encoded]).double().square().sum()
                fvu, ce = float(wrong / spread), text.spliced[at, rung]
                sizes.append(SizeLoss(rung.slot, rung.size, l0[rung], fvu, ce))
        mean, zero = text.spliced[at, "mean"], text.spliced[at, "zero"]
        return SiteLosses(slots, int(encoded.sum()), text.ce, mean, zero, tuple(sizes))

    def _read(self, trace: Trace, job: Job) -> _Text:
        """The text, run once as it is."""
        if self._text is None or self._text.trace is not trace:
            ids = torch.from_numpy(trace.ids.astype(np.int64))[None].to(self._model.device)
            alone = [sae for sae in self._saes if _stands_alone(sae)]
            points = {point for sae in alone for point in (*sae.weights.reads, *sae.weights.writes)}
            points |= set(tracing.hooks_of(self._saes))
            kept = tracing.run(self._model, ids, sorted(points), job)
            self._text = _Text(trace, ids, kept, self._ce(kept.hidden, ids))
        return self._text

    def _guess(self, rung: Rung, text: _Text, masked: np.ndarray) -> tuple[torch.Tensor, float]:
        """What the first features reconstruct, [T, d], and how many are active on a token."""
        sae = self._saes[rung.slot]
        x = text.kept.read_by(sae).to(sae.device)
        acts = sae.encode(x, masked).first(rung.size)
        n = max(int((~masked).sum()), 1)
        return sae.decode(acts, x).to(text.kept.hidden.device), len(acts.indices) / n

    def _splice(
        self,
        text: _Text,
        at: HookPoint,
        y: torch.Tensor,
        encoded: torch.Tensor,
        guesses: dict[Rung | str, torch.Tensor],
        job: Job,
    ) -> None:
        """Read on from each guess; several at once."""
        missing = [what for what in guesses if (at, what) not in text.spliced]
        n = max(_TOKENS_AT_ONCE // len(y), 1)
        for begin in range(0, len(missing), n):
            job.progress(begin, len(missing), "Measuring what each size loses")
            part = missing[begin : begin + n]
            instead = torch.stack(
                [torch.where(encoded[:, None], guesses[what].to(y.device), y) for what in part]
            )

            def edit(x: torch.Tensor, instead: torch.Tensor = instead) -> torch.Tensor:
                return instead.to(x.device, x.dtype)

            edits = checked({at: edit}, self._model.parts, job.check)
            ids = text.ids.expand(len(part), -1)
            hidden = self._model.hidden(ids, edits, use_cache=False)
            for what, row in zip(part, hidden, strict=True):
                text.spliced[at, what] = self._ce(row, text.ids)

    def _ce(self, hidden: torch.Tensor, ids: torch.Tensor) -> float:
        """Nats per token; nan of a text of one token."""
        logits = self._model.logits(hidden[:-1])
        return float(cross_entropy(logits, ids[0, 1:].to(logits.device)))


def _stands_alone(sae: Sae) -> bool:
    """Whether what an SAE writes is all that is written in its place."""
    w = sae.weights
    return len(w.reads) == 1 and len(w.writes) == 1 and not w.group
