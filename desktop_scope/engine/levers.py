"""Which features are levers: does adding one make the tokens likelier that it should promote?

The output score of Arad, Mueller & Belinkov (2025, arXiv 2505.20063) in the form in which the demo
pack ships it. A feature's decoder row is added at the last position of short neutral prompts, at a
push given as a share of the stream's median length. T are the 20 tokens whose logits the row
raises most through the final norm's gain and the unembedding. Means over the prompts of

- output_score: (1 − best rank in T / vocabulary) · largest probability in T
- promoted_logratio: log of T's summed probability over what it is without the push
- kl: KL(without ‖ with) of the next token, nats

It says what happens to the next token, and nothing about the manner of a whole answer.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.damage import NEUTRAL_TEXTS
from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.lens import Lens
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Floats
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

PROMPTS = ("From my experience,", "The thing is that", "I think", "When I looked again, it was")
PUSHES = (0.4, 0.8)
N_PROMOTED = 20
_ROWS_AT_ONCE = 32  # features in one pass: bounds [rows, vocabulary]


@dataclass(frozen=True, eq=False)
class LeverScores:
    """Of n features at every push, [n, P]; nan where it was not measured."""

    output_score: Floats
    promoted_logratio: Floats
    kl: Floats


class LeverMeter:
    """Scores features many at a time: they share the prompt's cache, and differ in the last row."""

    def __init__(self, model: LanguageModel, lens: Lens) -> None:
        self._model, self._lens = model, lens
        self._prompts: list[_Prompt] = []  # made when first needed
        self._norms: dict[HookPoint, float] = {}

    def measure(
        self, sae: Sae, index: NDArray[np.int64], median_norm: float, job: Job
    ) -> LeverScores:
        """Score some features of one SAE.

        Args:
            sae: Theirs.
            index: Which, [n].
            median_norm: Length of the stream that pushes are shares of; nan measures it.
            job: Asked after every layer whether to go on.

        Raises:
            ScopeError: Its features are no directions of the residual stream.
            Cancelled: The job was.
        """
        if not sae.in_stream:
            raise ScopeError(
                f"The features of {sae.weights.name} are no directions of the residual stream.",
                "Levers can be measured of SAEs and transcoders that write into it.",
            )
        sums = np.zeros((3, len(index), len(PUSHES)))
        with torch.inference_mode():
            if not math.isfinite(median_norm):
                median_norm = self._norm(sae.weights.writes[0], job)
            self._prompts = self._prompts or [_Prompt(self._model, text) for text in PROMPTS]
            for begin in range(0, len(index), _ROWS_AT_ONCE):
                part = slice(begin, begin + _ROWS_AT_ONCE)
                rows = sae.decoder_rows(index[part])
                promoted = self._promoted(rows)
                rows = (rows * median_norm).to(self._model.device)
                for prompt in self._prompts:
                    for k, push in enumerate(PUSHES):
                        logprobs = prompt.pushed(sae.weights.writes[0], rows * push, job)
                        sums[:, part, k] += _scores(prompt.plain, logprobs, promoted)
        score, ratio, kl = (sums / len(PROMPTS)).astype(np.float32)
        return LeverScores(score, ratio, kl)

    def _promoted(self, rows: torch.Tensor) -> torch.Tensor:
        effects = torch.stack([self._lens.logit_effect(row) for row in rows])
        return effects.topk(N_PROMOTED, dim=1).indices.to(self._model.device)

    def _norm(self, point: HookPoint, job: Job) -> float:
        """The stream's median length after a layer, over neutral texts without first tokens."""
        if point not in self._norms:
            lengths: list[torch.Tensor] = []
            at = resid_post(point.layer)
            edits = checked(
                {at: lambda x: lengths.append(x[0, 1:].float().norm(dim=-1))},
                self._model.parts,
                job.check,
            )
            for text in NEUTRAL_TEXTS:
                ids = torch.tensor([self._model.encode_within(text)], device=self._model.device)
                self._model.hidden(ids, edits, use_cache=False)
            self._norms[point] = float(torch.cat([part.cpu() for part in lengths]).median())
        return self._norms[point]


class _Prompt:
    """A neutral prompt: its cache before the last token, and what the model says after it.

    Attributes:
        plain: [vocabulary] log-probabilities without a push.
    """

    def __init__(self, model: LanguageModel, text: str) -> None:
        self._model = model
        ids = torch.tensor([model.encode_within(text)], device=model.device)
        self._cache, self._last = model.new_cache(), ids[:, -1:]
        model.hidden(ids[:, :-1], {}, past_key_values=self._cache, use_cache=True)
        hidden = model.hidden(
            self._last, {}, past_key_values=copy.deepcopy(self._cache), use_cache=True
        )
        self.plain = model.logits(hidden[0, 0]).log_softmax(-1)

    def pushed(self, point: HookPoint, rows: torch.Tensor, job: Job) -> torch.Tensor:
        """Log-probabilities with each of the rows added at the last position, [n, vocabulary]."""
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(len(rows))
        edits = checked(
            {point: lambda x: (x.float() + rows[:, None]).to(x.dtype)},
            self._model.parts,
            job.check,
        )
        last = self._last.expand(len(rows), 1)
        hidden = self._model.hidden(last, edits, past_key_values=cache, use_cache=True)
        return self._model.logits(hidden[:, 0]).log_softmax(-1)


def _scores(
    plain: torch.Tensor, pushed: torch.Tensor, promoted: torch.Tensor
) -> NDArray[np.float64]:
    """The three measures, [3, n], of log-probabilities [vocabulary] and [n, vocabulary]."""
    here = pushed.gather(1, promoted)
    best = here.max(dim=1).values
    rank = (pushed > best[:, None]).sum(1)
    score = (1 - rank / pushed.shape[1]) * best.exp()
    ratio = here.logsumexp(1) - plain[promoted].logsumexp(1)
    kl = (plain.exp() * (plain - pushed)).sum(1)
    return torch.stack([score, ratio, kl]).double().cpu().numpy()
