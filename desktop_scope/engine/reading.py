"""Many texts, one after another in batches: what every feature does in each of them, on average."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.ablating import batches, padded
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureActs, Floats, Ints, TextActs
from desktop_scope.engine.worker import Job

_TEXTS_AT_ONCE = 8  # a pass that is cancelled is lost
_TEXTS_KEPT = 4000

# By SAE: features that fire in a text, and their mean activation over its tokens.
_Means = list[tuple[Ints, Floats]]


@dataclass(frozen=True, eq=False)
class _Read:
    n_tokens: int
    means: _Means


class TextReader:
    """Reads texts, and remembers what it read: work that was cancelled goes on where it was."""

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self._model, self._saes = model, saes
        self._known: OrderedDict[str, _Read] = OrderedDict()

    def read(self, texts: Sequence[str], job: Job) -> TextActs:
        """Mean activations by text; of a long text, of as much as the model reads at once.

        Raises:
            ScopeError: A text is empty.
            Cancelled: The job was; what was read by then is not read again.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        ids = [self._model.encode_within(text) for text in new]
        order = [
            part[start : start + _TEXTS_AT_ONCE]
            for part in batches([len(one) for one in ids])
            for start in range(0, len(part), _TEXTS_AT_ONCE)
        ]
        done = len(texts) - len(new)
        for part in order:
            job.progress(done, len(texts), "Reading the texts")
            found = self._run([ids[n] for n in part], job)
            self._known |= zip((new[n] for n in part), found, strict=True)
            done += len(part)
        reads = [self._known[text] for text in texts]
        while len(self._known) > max(_TEXTS_KEPT, len(texts)):
            self._known.popitem(last=False)
        return _together(reads, len(self._saes))

    def _run(self, texts: Sequence[list[int]], job: Job) -> list[_Read]:
        """One pass over a batch."""
        with torch.inference_mode():
            kept, lengths = self._activations(texts, job)
            position = np.concatenate([np.arange(n) for n in lengths])
            text = np.repeat(np.arange(len(texts)), lengths)
            masked = tracing.mask_of(self._saes, kept) | (position == 0)
            n_tokens = np.bincount(text[~masked], minlength=len(texts))
            by_text: list[_Means] = [[] for _ in texts]
            for sae in self._saes:
                job.check()
                own = masked | (position < sae.weights.skip_positions)
                acts = sae.encode(kept.read_by(sae).to(sae.device), own)
                for means, mean in zip(by_text, _means(acts, text, n_tokens), strict=True):
                    means.append(mean)
        return [_Read(int(n), means) for n, means in zip(n_tokens, by_text, strict=True)]

    def _activations(
        self, texts: Sequence[list[int]], job: Job
    ) -> tuple[tracing.Activations, list[int]]:
        """What the SAEs read, the tokens of all texts one after another, without the padding."""
        lengths = [len(text) for text in texts]
        ids = padded(texts, self._model.device)
        real = torch.arange(ids.shape[1])[None] < torch.tensor(lengths)[:, None]
        at: dict[HookPoint, torch.Tensor] = {}

        def keep(point: HookPoint) -> Edit:
            def edit(x: torch.Tensor) -> None:
                at[point] = x[real.to(x.device)]

            return edit

        points = tracing.hooks_of(self._saes)
        edits = checked({point: keep(point) for point in points}, self._model.parts, job.check)
        hidden = self._model.hidden(ids, edits, use_cache=False)[real.to(ids.device)]
        kept = tracing.Activations(hidden, hidden)
        kept.at |= at
        return kept, lengths


def _means(acts: FeatureActs, text: np.ndarray, n_tokens: np.ndarray) -> _Means:
    """By text, its active features and their activation summed and shared out over its tokens."""
    fires = acts.values > 0
    width = int(acts.indices.max(initial=0)) + 1
    keys = text[acts.rows()[fires]] * width + acts.indices[fires]
    found, place = np.unique(keys, return_inverse=True)
    total = np.bincount(place, acts.values[fires], len(found))
    of, index = np.divmod(found, width)
    mean = (total / np.maximum(n_tokens[of], 1)).astype(np.float32)
    ends = np.searchsorted(of, np.arange(len(n_tokens) + 1))
    return [(index[a:b].astype(np.int32), mean[a:b]) for a, b in itertools.pairwise(ends)]


def _together(reads: Sequence[_Read], n_saes: int) -> TextActs:
    acts = []
    for slot in range(n_saes):
        parts = [read.means[slot] for read in reads]
        ends = np.cumsum([0, *(len(index) for index, _ in parts)])
        acts.append(
            FeatureActs(
                ends.astype(np.int32),
                np.concatenate([np.zeros(0, np.int32), *(index for index, _ in parts)]),
                np.concatenate([np.zeros(0, np.float32), *(mean for _, mean in parts)]),
            )
        )
    return TextActs(np.array([read.n_tokens for read in reads], np.int32), tuple(acts))
