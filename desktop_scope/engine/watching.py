"""Features read off an answer while it is said, for whoever looks at them just then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.sae import Reading, Sae
from desktop_scope.engine.types import FeatureId


class Watching:
    """Which features are looked at; may be set from another thread at any time."""

    def __init__(self) -> None:
        self.features: tuple[FeatureId, ...] = ()


class WatchedAnswer:
    """What the features are on the tokens of one answer, in the order in which they were said.

    A token is read by the pass after the one that said it: the last one is never known yet.

    Attributes:
        at: The position of the last token of the next pass, [1, 1].
        latest: What the features were there, in the pass that was last made.
    """

    def __init__(self, watching: Watching, saes: Sequence[Sae]) -> None:
        self._watching = watching
        self._saes = saes
        self._features: tuple[FeatureId, ...] = ()
        self._known: dict[FeatureId, dict[int, float]] = {}
        self.latest: dict[FeatureId, torch.Tensor] = {}
        self.at = torch.zeros(1, 1, dtype=torch.int64)

    @property
    def wanted(self) -> tuple[FeatureId, ...]:
        """What is looked at now."""
        return self._watching.features

    def changed(self) -> bool:
        """Whether other features are looked at than the edits read."""
        return self._watching.features != self._features

    def edits(self, edits: Mapping[HookPoint, Edit]) -> dict[HookPoint, Edit]:
        """The edits, and reading the features after them."""
        self._features, self.latest = self._watching.features, {}
        readers: dict[HookPoint, list[tuple[FeatureId, _Read]]] = {}
        for feature in self._features:
            if feature.sae < len(self._saes):
                sae = self._saes[feature.sae]
                if len(sae.weights.reads) == 1 and feature.index < sae.d_sae:
                    read = (feature, sae.reader(feature.index))
                    readers.setdefault(sae.weights.reads[0], []).append(read)
        read_there = {p: self._reading(edits.get(p), readers[p]) for p in readers}
        return {**edits, **read_there}

    def _reading(self, edit: Edit | None, readers: list[tuple[FeatureId, _Read]]) -> Edit:
        def run(x: torch.Tensor) -> torch.Tensor | None:
            changed = edit(x) if edit else None
            now = (x if changed is None else changed)[:, -1:]
            for feature, read in readers:
                self.latest[feature] = read(now, self.at.to(now.device)).f
            return changed

        return run

    def begin(self, position: int) -> None:
        """The last token of the next pass stands at this position."""
        self.at.fill_(position)

    def note(self, token: int) -> None:
        """The pass that was made has read this token of the answer; −1 for the prompt's last."""
        if token >= 0:
            for feature, value in self.latest.items():
                self._known.setdefault(feature, {})[token] = float(value)

    def values(self, n_tokens: int) -> tuple[tuple[FeatureId, tuple[float, ...]], ...]:
        """By feature, what it was on each token of the answer; 0 where that is not known."""
        return tuple(
            (feature, tuple(known.get(n, 0.0) for n in range(n_tokens)))
            for feature, known in self._known.items()
        )


_Read = Callable[[torch.Tensor, torch.Tensor], Reading]
