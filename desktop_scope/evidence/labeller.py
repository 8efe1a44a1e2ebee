"""Names every feature from its evidence alone, without a language model.

A name says what the words on which a feature peaks have in common: the same word, a group of
words, the word before or after, a place in the text, words near by. It is short and honest: where
nothing stands out it says “various”. Strong and mid-range examples and the tokens that take most
of a feature's activation all have a say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from desktop_scope.evidence.naming import MAX_LENGTH, Namer
from desktop_scope.evidence.peaks import ExampleStore, PeakFinder
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import Label

if TYPE_CHECKING:
    from desktop_scope.evidence.own_texts import OwnTexts

__all__ = ["LABELLER_VERSION", "MAX_LENGTH", "Labeller", "labels_of"]

#: Part of the label index's key: raise it when labels come out differently.
LABELLER_VERSION = 4


class Labeller:
    """Names the features of a pack, or of some evidence of one's own.

    Args:
        store: The evidence; its corpus is cut into words once, here.
    """

    def __init__(self, store: ExampleStore) -> None:
        texts = [store.token_text(token) for token in range(store.vocab_size)]
        self._n_layers = store.n_layers
        self._peaks = PeakFinder(store, texts)
        self._namer = Namer(self._peaks.lexis, texts, store.corpus.sources)

    def layers(
        self,
        progress: Callable[[int, int], None] = lambda done, total: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, list[Label]]]:
        """The labels of every layer in turn.

        Args:
            progress: Called with layers done and layers in all.
            check: Called often; raises to stop the work.
        """
        for layer in range(self._n_layers):
            yield layer, self.layer(layer, check)
            progress(layer + 1, self._n_layers)

    def layer(self, layer: int, check: Callable[[], None] = lambda: None) -> list[Label]:
        """The labels of one layer's features, [N]."""
        labels = []
        for index, feature in enumerate(self._peaks.features(layer)):
            if index % 256 == 0:
                check()
            labels.append(self._namer.name(feature))
        return labels


def labels_of(
    store: EvidenceStore | OwnTexts,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, list[Label]]]:
    """The labels of every layer of a pack; or of the one SAE that evidence of one's own is of."""
    if isinstance(store, EvidenceStore):
        yield from Labeller(store).layers(progress, check)
        return
    labels: list[Label] = []
    for part in store.parts():
        found = Labeller(part).layer(0, check)
        labels += [
            replace(label, confidence="low") if few else label
            for label, few in zip(found, part.few, strict=True)
        ]
        progress(len(labels), store.n_features)
    yield 0, labels
