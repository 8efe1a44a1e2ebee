"""Do whole answers move towards what a feature is about? Without a judge, and with a control.

Plain questions are answered three times: as they are, with the feature pushed in at every token,
and with another feature of its SAE, drawn at random, pushed in as far. Counted is what share of an
answer's words are the feature's *own*: words that stand in at least two of its examples and three
times as often as chance would have it, and rare tokens that take much of its activation. Its label
and what it promotes do not count, so this is independent of the lever score, which looks at the
next token alone. The intervals are over the questions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from desktop_scope.engine.ablating import Run
from desktop_scope.engine.answers import answer_all
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.types import FeatureId, Intervention, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.experiments.answer_types import AnswerScore, AnswerTrial, ScoreAnswers
from desktop_scope.experiments.effect import built_in_prompts
from desktop_scope.experiments.statistics import interval

N_TOKENS = 40
MORE = (
    "Write a few sentences about anything.",
    "What happened yesterday?",
    "Tell me a short story.",
    "What did you think of it?",
    "Give me some advice.",
    "Describe what you see.",
)
_FEWEST, _LIFT = 2, 3.0  # examples with a word, and times as many as chance would have it
_RARE = 3.0  # −log10 of the share of the text of a top token that counts
_MOST = 40  # words


def score_answers(
    engine: Engine, catalogue: Catalogue, request: ScoreAnswers, job: Job
) -> AnswerTrial | AnswerScore:
    """Answer once more, or compare the answers when all are there.

    Raises:
        ScopeError: Nothing is known of the feature's words, or that push makes no sense.
        Cancelled: The job was.
    """
    trial = request.trial
    if not (math.isfinite(trial.push) and trial.push):
        raise ScopeError("That push makes no sense.", "0.2 to 0.4 is visible and fluent.")
    words = _own_words(catalogue, trial.feature)
    prompts = _questions(engine)
    done = len(trial.answers)
    if done < len(_RUNS):
        job.progress(done, len(_RUNS), "Comparing whole answers")
        pushed = tuple(_RUNS[done](engine, catalogue, trial))
        runs = [Run(tuple(engine.model.encode(prompt).ids), pushed) for prompt in prompts]
        with torch.inference_mode():
            found = answer_all(engine.model, engine.saes, runs, N_TOKENS, job)
        answers = (*trial.answers, tuple(tuple(answer) for answer in found))
        return replace(trial, answers=answers)
    shares = [_shares(catalogue, answers, words) for answers in trial.answers]
    plain, pushed, control = (np.array(each) for each in shares)
    texts = engine.model.texts
    return AnswerScore(
        feature=trial.feature,
        push=trial.push,
        words=tuple(texts[token].strip() for token in words.values()),
        plain=float(plain.mean()),
        pushed=float(pushed.mean()),
        control=float(control.mean()),
        over_plain=interval(pushed - plain),
        over_control=interval(pushed - control),
        questions=tuple(prompt.text for prompt in prompts),
        answers=tuple(
            tuple(engine.model.decode(list(answer)).strip() for answer in answers)
            for answers in trial.answers
        ),
    )


def _questions(engine: Engine) -> tuple[Prompt, ...]:
    """Plain ones: with six alone the intervals would be too wide to say anything."""
    has_chat = engine.model.info.has_chat
    return (*built_in_prompts(engine), *(Prompt(text, has_chat) for text in MORE))


def _pushed(engine: Engine, catalogue: Catalogue, trial: AnswerTrial) -> tuple[Intervention, ...]:
    return (Intervention(trial.feature, trial.push * _norm(catalogue, trial)),)


def _control(engine: Engine, catalogue: Catalogue, trial: AnswerTrial) -> tuple[Intervention, ...]:
    """Another feature, as far: the same one whenever this is repeated."""
    slot, index = trial.feature
    sae = engine.saes[slot]
    if sae.d_sae < 2:
        raise ScopeError("There is no other feature to compare with.", "Open a larger SAE.")
    other = int(np.random.default_rng(index).integers(sae.d_sae - 1))
    other += other >= index
    rows = sae.decoder_rows(np.array([index, other])).norm(dim=1)
    amount = trial.push * _norm(catalogue, trial) * float(rows[0] / rows[1].clamp(min=1e-9))
    return (Intervention(FeatureId(slot, other), amount),)


_RUNS = (lambda engine, catalogue, trial: (), _pushed, _control)


def _norm(catalogue: Catalogue, trial: AnswerTrial) -> float:
    norm = catalogue.evidence[trial.feature.sae].median_norm
    if not math.isfinite(norm):
        raise ScopeError(
            "How long the stream usually is has not been measured for this autoencoder.",
            "Wait until it has been checked, or check it: Model, Check the autoencoders.",
        )
    return norm


def _own_words(catalogue: Catalogue, feature: FeatureId) -> dict[int, int]:
    """The feature's own words, the most telling first, each with a token that is one."""
    known, words = catalogue.evidence[feature.sae], catalogue.discovery.words
    peaks, tokens = known.peaks(), _tokens(words.texts)
    if peaks is None:
        raise _nothing_known()
    surprise = words.surprise(peaks.counts)
    examples = {example.texts for example in known.examples(feature.index)}
    count: Counter[int] = Counter()
    token_of: dict[int, int] = {}
    for texts in examples:
        there = {tokens[text] for text in texts if text in tokens}
        there = {token for token in there if words.wordish[token]}
        token_of |= {int(words.word[token]): token for token in there}
        count.update({int(words.word[token]) for token in there})
    length = float(np.mean([len(texts) for texts in examples])) if examples else 0.0
    telling: dict[int, float] = {}
    for word, n in count.items():
        share = 10.0 ** -float(surprise[token_of[word]])
        lift = n / (len(examples) * (1 - (1 - share) ** length))
        if n >= _FEWEST and lift >= _LIFT:
            telling[word] = n * math.log(lift)
    for top in known.top_tokens(feature.index):
        token = tokens.get(top.text, -1)
        if token >= 0 and words.wordish[token] and surprise[token] >= _RARE:
            token_of[int(words.word[token])] = token
            telling.setdefault(int(words.word[token]), 0.0)
    if not telling:
        raise _nothing_known()
    best = sorted(telling, key=lambda word: -telling[word])[:_MOST]
    return {word: token_of[word] for word in best}


@lru_cache(1)  # of the open model
def _tokens(texts: tuple[str, ...]) -> dict[str, int]:
    """A token for every text."""
    return {text: token for token, text in reversed(list(enumerate(texts)))}


def _shares(
    catalogue: Catalogue, answers: Sequence[Sequence[int]], own: dict[int, int]
) -> list[float]:
    """The share of each answer's words that are among the feature's own."""
    words = catalogue.discovery.words
    shares = []
    for answer in answers:
        said = [int(words.word[token]) for token in answer if words.wordish[token]]
        shares.append(sum(word in own for word in said) / max(len(said), 1))
    return shares


def _nothing_known() -> ScopeError:
    return ScopeError(
        "Nothing is known of the words that this feature is about: it has no examples with words "
        "in common.",
        "Gather evidence for it with `desktop-scope index`, or steer with it and read.",
    )
