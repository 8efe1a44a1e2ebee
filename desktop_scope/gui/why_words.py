"""What the Why panel says, from the state alone."""

from __future__ import annotations

import math

import numpy as np

from desktop_scope.engine.questions import Attribution, Cause, Verification
from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.graph_layout import Node
from desktop_scope.gui.naming import title
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.cause_table import CauseRow, signed
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.sum_bars import SumRow
from desktop_scope.gui.widgets.token_layout import shown

RELIABLE = 0.5  # a correlation below it means that the picture cannot be relied on
_N_NAMED = 3
_N_ROWS = 150  # of the list
_N_LISTED = 8  # features of a node, on hover


def headline(state: AppState) -> str:
    """One plain sentence."""
    assert state.why.explanation is not None
    found = state.why.explanation.attribution
    said, other = spoken(state, found)
    m = found.difference
    if m < 0:
        said, other = other, said
    odds = math.exp(min(abs(m), 20))
    times = f"{number(odds)} times" if odds < 1000 else "over a thousand times"
    names = _names_for(state, np.sign(m))
    because = f", mostly because of {_listed(names)}" if names else ""
    return (
        f"“{said}” is {times} as likely as “{other}”{because}; "
        f"{percent(1 - found.explained)} of what the layers contribute is unexplained."
    )


def about_words(state: AppState) -> str:
    """What the feature that was asked from has to do with it."""
    why = state.why
    if why.about is None or why.explanation is None:
        return ""
    found, name = why.explanation.attribution, state.name_of(why.about)
    card = state.card
    label = card.label if card and card.feature == why.about else why.labels.get(why.about)
    said = f"“{_short(title(label, name))}” ({name})" if label else f"Feature {name}"
    if why.about.sae not in found.slots:
        return f"{said} is not explained: its autoencoder is left out."
    causes = found.of(why.about)
    if not causes:
        return f"{said} does not fire on this text: it has no part in the answer."
    total = sum(cause.effect for cause in causes)
    effects = found.effects[found.slots.index(why.about.sae)]
    share = sum(abs(c.effect) for c in causes) / max(float(np.abs(effects).sum()), 1e-12)
    answer = spoken(state, found)[0 if total >= 0 else 1]
    place = piece(found.texts[causes[0].token])
    where = f", on “{place}”" if len(causes) == 1 else f", most of it on “{place}”"
    return (
        f"{said} contributes {number(abs(total))} nats for “{answer}”{where}: "
        f"{percent(share)} of what the features of its layer do."
    )


def spoken(state: AppState, found: Attribution) -> tuple[str, str]:
    """Both answers for a sentence: without the space before a word."""
    said, other = (text.strip() or text for text in ends(state, found))
    return said, other


def ends(state: AppState, found: Attribution) -> tuple[str, str]:
    """Both answers as literal text."""
    assert state.why.explanation is not None
    question = state.why.explanation.question
    runners = state.why.runners
    texts = dict(zip(runners.ids, runners.texts, strict=True)) if runners is not None else {}

    def text(words: str | tuple[int, ...], ids: tuple[int, ...]) -> str:
        if isinstance(words, str):
            return words
        trace = state.trace
        known = texts | (dict(zip(trace.ids.tolist(), trace.texts, strict=True)) if trace else {})
        return "".join(known.get(i, f"⟨{i}⟩") for i in ids).replace("\n", "⏎")

    return (
        text(question.answer, found.answer),
        text(question.instead, found.instead),
    )


def _names_for(state: AppState, sign: float) -> list[str]:
    """What the largest effects on one side are called, each name once."""
    names: dict[str, None] = {}
    for cause in state.why.causes:
        label = state.why.labels.get(cause.feature)
        if cause.effect * sign > 0 and label is not None:
            names[f"“{_short(title(label, state.name_of(cause.feature)))}”"] = None
        if len(names) == _N_NAMED:
            break
    return list(names)


def _short(label: str) -> str:
    """A label without its examples and remarks."""
    return label.partition(" (")[0].partition(";")[0]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def unexplained_words(found: Attribution) -> str:
    """On hover."""
    errors, biases = np.abs(found.errors).sum(), np.abs(found.biases).sum()
    return (
        "What the layers contribute that is no feature’s, the mean over the layers:\n"
        f"what the autoencoders leave out ({percent(errors / (errors + biases))} of it, tokens "
        "that they do not read among it),\nand their constant part. Contributions are taken "
        "token by token, by their size."
    )


def piece(text: str) -> str:
    """A token as people read it; with dots where it goes on with a word."""
    return f"…{text}" if text[:1].islower() else shown(text).text.strip() or shown(text).text


def _label_of(state: AppState, feature: FeatureId) -> str:
    label = state.why.labels.get(feature)
    return title(label, state.name_of(feature)) if label else f"feature {state.name_of(feature)}"


def _measured(state: AppState) -> dict[tuple[FeatureId, int], float]:
    check = state.why.verification
    if check is None:
        return {}
    return {
        (cause.feature, cause.token): float(value)
        for cause, value in zip(check.causes, check.measured, strict=True)
    }


def cause_rows(state: AppState) -> list[CauseRow]:
    """The list."""
    assert state.why.explanation is not None
    found, measured = state.why.explanation.attribution, _measured(state)
    return [
        CauseRow(
            feature=cause.feature,
            token=cause.token,
            layer=state.name_of(cause.feature).rpartition("/")[0],
            token_text=piece(found.texts[cause.token]),
            label=_label_of(state, cause.feature),
            help=_help(state, found, cause),
            effect=cause.effect,
            measured=measured.get((cause.feature, cause.token)),
            doubtful=bool((label := state.why.labels.get(cause.feature)) and label.doubtful),
        )
        for cause in state.why.causes[:_N_ROWS]
    ]


def _help(state: AppState, found: Attribution, cause: Cause) -> str:
    label = state.why.labels.get(cause.feature)
    source = f" · {label.source} label, {label.confidence} confidence" if label else ""
    return (
        f"{_label_of(state, cause.feature)}\n"
        f"feature {state.name_of(cause.feature)}{source}\n"
        f"activation {number(cause.activation)} on “{found.texts[cause.token]}”, "
        f"estimated contribution {signed(cause.effect)} nats"
    )


def node_help(state: AppState, node: Node) -> str:
    """What is said of a node of the path."""
    if not node.causes:
        return f"“{node.text}” as the embedding gives it: {signed(node.effect)} nats"
    lines = [
        f"{state.name_of(c.feature)}  {_label_of(state, c.feature)}  {signed(c.effect)} nats"
        for c in node.causes[:_N_LISTED]
    ]
    left = len(node.causes) - len(lines)
    return "\n".join([*lines, *([f"and {left} more"] if left else []), "Double click pins it"])


def layer_rows(state: AppState) -> list[SumRow]:
    """What each SAE contributes."""
    assert state.why.explanation is not None
    found, check = state.why.explanation.attribution, state.why.verification
    sums, unexplained = found.by_features().sum(1), found.unexplained()
    agree = check.by_slot() if check is not None else {}
    rows = []
    for n, slot in reversed(list(enumerate(found.slots))):
        place = state.saes[slot].place if slot < len(state.saes) else str(slot)
        agrees = agree.get(slot)
        doubtful = agrees is not None and agrees < RELIABLE
        rows.append(SumRow(place, float(sums[n]), float(unexplained[n]), agrees, doubtful))
    return rows


def token_rows(state: AppState) -> list[SumRow]:
    """What each token contributes, the mean over the layers."""
    assert state.why.explanation is not None
    found = state.why.explanation.attribution
    features = found.by_features()
    rest = np.abs(found.errors) + np.abs(found.biases)
    whole = np.maximum((np.abs(features) + rest).sum(0), 1e-12)
    shares = rest.sum(0) / whole
    return [
        SumRow(piece(text), float(mean), float(share))
        for text, mean, share in zip(found.texts, features.mean(0), shares, strict=True)
    ]


def point_words(state: AppState) -> list[str]:
    """What is said of each point of the scatter plot."""
    check = state.why.verification
    assert check is not None
    return [
        f"{_label_of(state, cause.feature)}\nfeature {state.name_of(cause.feature)}: "
        f"estimated {signed(cause.effect)}, measured {signed(float(value))} nats"
        for cause, value in zip(check.causes, check.measured, strict=True)
    ]


def check_words(state: AppState) -> str:
    """What came of switching features off."""
    check = state.why.verification
    assert check is not None
    assert state.why.explanation is not None
    m = state.why.explanation.attribution.difference
    parts = [_agreement(check)]
    parts.append(
        f"All {len(check.causes)} off together: the difference goes from {signed(m)} to "
        f"{signed(m - check.together)} nats."
    )
    doubtful = [
        state.saes[slot].place for slot, value in check.by_slot().items() if value < RELIABLE
    ]
    if doubtful:
        parts.append(f"Unreliable at layer {', '.join(doubtful)}.")
    return " ".join(parts)


def _agreement(check: Verification) -> str:
    if math.isnan(check.pearson):
        return "Too few points for a correlation."
    verdict = "" if check.pearson >= RELIABLE else " Do not rely on this picture."
    return f"Correlation {check.pearson:.2f}.{verdict}"
