"""Does a push do what its feature is about? A measure without a judge.

The *words* of a feature are those that its evidence and its decoder name: on which it fires, and
which it makes likelier. The effect of a push on a prompt is how much likelier it makes any of them,
as the mean over the tokens of the plain answer of log p(words | pushed) − log p(words | plain).
Beside it stands what share of the tokens of a pushed answer they are.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

import torch

from desktop_scope.engine.ablating import Run, Together, batches, padded
from desktop_scope.engine.answers import answer_all
from desktop_scope.engine.cost_types import Fluency, repetition
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.fluency import surprises
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.types import FeatureId, Intervention, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.types import Source

PROMPTS = (
    "Tell me about the weather.",
    "What is your favourite food?",
    "Who are you?",
    "How do I clean a window?",
    "What should I do this weekend?",
    "Describe a city that you like.",
)
_T = TypeVar("_T")
_N_WORDS = 20
_ANSWERS_AT_ONCE = 28  # a pass over them takes little longer than over a few
_SHORTEST = 3  # letters of a word that says something
_LETTERS = re.compile(r" [^\W\d_]+")
_STRONG = 0.5  # of an example's peak
_COMMON = """
the and for with that this from was were are has have had not but its his her they them their which
who what when where will would can could should you your our out all any some one more most other
such than then there these kinds ending words word those into over about been also may only
very just
"""
_PLAIN_WORDS = frozenset(_COMMON.split())  # say nothing of what a text is about


def built_in_prompts(engine: Engine) -> tuple[Prompt, ...]:
    """Plain questions about nothing in particular."""
    return tuple(Prompt(text, engine.model.info.has_chat) for text in PROMPTS)


def words_of(catalogue: Catalogue, interventions: Sequence[Intervention]) -> tuple[str, ...]:
    """The words that tell the effect of the features among interventions.

    Raises:
        ScopeError: Nothing is known that could tell it.
    """
    features = dict.fromkeys(item.feature for item in interventions if item.feature is not None)
    counts: Counter[str] = Counter()
    for feature in features:
        counts.update(dict(_weighed(catalogue, feature)))
    words = tuple(word for word, _ in counts.most_common(_N_WORDS))
    if not words:
        raise ScopeError(
            "Nothing is known of the words that this should bring.",
            "Name some yourself: they tell the effect.",
        )
    return words


def _weighed(catalogue: Catalogue, feature: FeatureId) -> Iterator[tuple[str, float]]:
    """Words of one feature, and how much each says: 1 is as much as any can."""
    card = catalogue.card(feature)
    found: Counter[str] = Counter()
    if card.label.source is not Source.NONE:
        found.update(dict.fromkeys(map(_word, _LETTERS.findall(_spaced(card.label.text))), 1.0))
    for top in card.top_tokens:
        found[_word(top.text)] += top.share
    strongest = [example for example in card.examples if example.band == "top"]
    for example in strongest:
        loud = {
            _word(text)
            for text, value in zip(example.texts, example.values, strict=True)
            if value >= _STRONG * example.value
        }
        found.update(dict.fromkeys(loud, 1 / len(strongest)))
    most = max((effect.effect for effect in card.promotes), default=1.0)
    for effect in card.promotes:
        found[_word(effect.text)] += 0.5 * effect.effect / most
    del found[""]
    yield from found.items()


def _spaced(label: str) -> str:
    return " " + "".join(char if char.isalnum() else " " for char in label)


def _word(text: str) -> str:
    """A token as a word; empty where it is a part of one, or says nothing."""
    word = text.strip().lower() if text.startswith(" ") else ""
    return word if word.isalpha() and len(word) >= _SHORTEST and word not in _PLAIN_WORDS else ""


class Push(NamedTuple):
    """What is tried.

    Attributes:
        prompts: That take the place of the meter's own; one for each.
    """

    interventions: tuple[Intervention, ...]
    prompts: tuple[Prompt, ...] = ()


_Asked = tuple[list[int], list[int], tuple[Intervention, ...]]  # prompt, plain answer, what is done


class EffectMeter:
    """Measures pushes against the same plain answers.

    Args:
        words: What tells the effect; any token that is one of them counts, whatever its case.
        n_tokens: How long the answers are.
    """

    def __init__(
        self, engine: Engine, prompts: Sequence[Prompt], words: Sequence[str], n_tokens: int
    ) -> None:
        self._engine = engine
        self._n_tokens = n_tokens
        self.prompts = tuple(prompts)
        self._ids = [engine.model.encode(prompt).ids for prompt in prompts]
        wanted = {word.strip().lower() for word in words}
        texts = engine.model.texts
        self._words = torch.tensor([i for i, t in enumerate(texts) if t.strip().lower() in wanted])
        if not len(self._words):
            raise ScopeError(
                f"No token of this model is one of: {', '.join(words)}.",
                "Take shorter words, or their beginnings.",
            )
        self._plain: list[list[int]] = []
        self._base: list[torch.Tensor] = []

    def begin(self, job: Job) -> None:
        """Answer unpushed, if that was not done yet."""
        if self._base:
            return
        (plain,) = self.answers([Push(())], job)
        # An answer that ends at once is still looked at where it would begin.
        self._plain = [answer or [0] for answer in plain]
        (self._base,) = self._likelihoods([Push(())], job)

    def together(self, items: Sequence[_T]) -> Iterator[Sequence[_T]]:
        """Pushes, or what makes them, as many at a time as are best measured together."""
        step = max(_ANSWERS_AT_ONCE // len(self.prompts), 1)
        for start in range(0, len(items), step):
            yield items[start : start + step]

    def answers(self, pushes: Sequence[Push], job: Job) -> list[list[list[int]]]:
        """By push, one greedy answer for each prompt."""
        runs = [Run(tuple(ids), push.interventions) for push in pushes for ids in self._read(push)]
        engine = self._engine
        with torch.inference_mode():
            found = iter(answer_all(engine.model, engine.saes, runs, self._n_tokens, job))
        return [list(itertools.islice(found, len(self.prompts))) for _ in pushes]

    def effects(self, pushes: Sequence[Push], job: Job) -> list[list[float]]:
        """By push, how much likelier the words became, nats, by prompt."""
        return [
            [float((a - b).mean()) for a, b in zip(pushed, self._base, strict=True)]
            for pushed in self._likelihoods(pushes, job)
        ]

    def fluency(self, answers: Sequence[list[int]], job: Job) -> Fluency:
        """What the model as it is thinks of some answers to the prompts, beside its own."""
        found = [surprises(self._engine.model, self._ids, of, job) for of in (answers, self._plain)]
        surprise, plain = (sum(of) / len(of) for of in found)
        repeats = sum(map(repetition, answers)) / len(answers)
        return Fluency(surprise, plain, repeats, self.plain_repetition)

    def _read(self, push: Push) -> list[list[int]]:
        """What the model reads."""
        return [self._engine.model.encode(prompt).ids for prompt in push.prompts] or self._ids

    def said(self, answer: Sequence[int]) -> float:
        """The share of an answer's tokens that are among the words."""
        return sum(i in self._among for i in answer) / max(len(answer), 1)

    def text(self, answer: Sequence[int]) -> str:
        """An answer to be read."""
        return self._engine.model.decode(list(answer)).strip()

    @cached_property
    def plain_repetition(self) -> float:
        """How much the plain answers repeat themselves."""
        return sum(map(repetition, self._plain)) / len(self._plain)

    @cached_property
    def _among(self) -> frozenset[int]:
        return frozenset(self._words.tolist())

    def _likelihoods(self, pushes: Sequence[Push], job: Job) -> list[list[torch.Tensor]]:
        """By push and prompt, log p of any of the words before every token of the plain answer."""
        asked = [
            (ids, said, push.interventions)
            for push in pushes
            for ids, said in zip(self._read(push), self._plain, strict=True)
        ]
        found: dict[int, torch.Tensor] = {}
        with torch.inference_mode():
            for batch in batches([len(ids) + len(said) for ids, said, _ in asked]):
                found |= zip(batch, self._likely([asked[n] for n in batch], job), strict=True)
        n = len(self.prompts)
        return [[found[k * n + i] for i in range(n)] for k in range(len(pushes))]

    def _likely(self, asked: Sequence[_Asked], job: Job) -> Iterator[torch.Tensor]:
        """One pass."""
        model = self._engine.model
        ids = padded([[*prompt, *said[:-1]] for prompt, said, _ in asked], model.device)
        steering = Together([interventions for *_, interventions in asked], self._engine.saes)
        steering.place(torch.tensor([[len(prompt)] for prompt, *_ in asked], device=model.device))
        edits = checked(steering.edits(), model.parts, job.check)
        hidden = steering.settle(lambda: model.hidden(ids, edits, use_cache=False))
        for row, (prompt, said, _) in zip(hidden, asked, strict=True):
            start = len(prompt) - 1
            logprobs = model.logits(row[start : start + len(said)]).log_softmax(-1)
            yield logprobs[:, self._words.to(logprobs.device)].logsumexp(-1).cpu()
