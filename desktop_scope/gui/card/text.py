"""What a card says in words: its source, its numbers, its role, and all of it as Markdown."""

from __future__ import annotations

import math

from desktop_scope.engine.health import Health
from desktop_scope.evidence.types import Card, Example, Insight, Interest, Label, Lever, Source
from desktop_scope.experiments.answer_types import AnswerScore
from desktop_scope.gui.naming import scored, title
from desktop_scope.gui.widgets.painting import number, percent

_SOURCES = {
    Source.CURATED: "written by a person who read the examples",
    Source.AUTOMATIC: "made automatically from the examples",
    Source.OWN: "your own",
    Source.MODEL: "written by a language model on this machine",
    Source.IMPORTED: "imported",
}
_RATED = (Source.CURATED, Source.AUTOMATIC)  # whose makers said how sure they were
_READS = 0.3  # from this kinship on the examples have a meaning in common
_FEW_TOKENS = 0.5  # or this share of its activation falls on a few tokens
_STRONG = 0.75  # a lever does more than this share of its layer
LEVER_LIMITS = (
    "The feature’s direction was added at the end of four neutral beginnings (“I think …”), and\n"
    "the probabilities of the 20 words that it promotes most compared with before: the output\n"
    "score of Arad et al. 2025. That is the next word alone: a feature that changes the manner of\n"
    "whole answers may do little here. The whole-answer score looks at that."
)


def where(card: Card) -> str:
    """Its layer and number."""
    place, _, index = card.name.rpartition("/")
    layer = f"layer {place}" if ":" not in place else place
    return f"{layer}, feature {index}"


def source(label: Label) -> str:
    """Where a label comes from, and how far to trust it."""
    if label.source is Source.NONE:
        return "no label yet"
    by = f" ({label.origin})" if label.origin else ""
    confidence = f", {label.confidence} confidence" if label.source in _RATED else ""
    return f"label {_SOURCES[label.source]}{by}{confidence}, {scored(label)}"


def facts(card: Card, health: Health | None) -> str:
    """How often and how strongly it fires, and how that is known."""
    if not math.isfinite(card.density):
        return (
            "Nothing is known yet of how often it fires, nor of examples: this autoencoder came "
            "without. What it does on your text is measured."
        )
    # Of a pack the makers' evidence counts, even where its SAE was checked.
    sampled = health is not None and not card.examples
    if sampled and health is not None and not health.density[card.feature.index]:
        return f"On {health.n_tokens:,} built-in tokens it did not fire once."
    on = f" (on {health.n_tokens:,} built-in tokens)" if sampled and health is not None else ""
    push = card.max_active / card.median_norm
    return (
        f"Fires on {percent(card.density)} of tokens{on}, with {number(card.mean_active)} on "
        f"average and {number(card.max_active)} at most ({percent(push)} of the usual length of "
        "what its autoencoder reads)."
    )


def pulls(insight: Insight) -> bool:
    """Whether turning it up does more than it does for most features of its layer."""
    lever = insight.lever
    return lever is not None and lever.below >= _STRONG and lever.promoted_logratio > 0


def role(card: Card, insight: Insight) -> str:
    """Reader, lever, both, or neither that one could see."""
    reads = sum(token.share for token in card.top_tokens) >= _FEW_TOKENS
    reads |= insight.interest is not None and insight.interest.kinship >= _READS
    if reads and pulls(insight):
        return "Reader and lever"
    if pulls(insight):
        return "Lever"
    return "Reader" if reads else "Neither a clear reader nor a lever"


def lever_line(lever: Lever) -> str:
    """What pushing a feature in does to the next word."""
    times = math.exp(min(abs(lever.promoted_logratio), 20.0))
    how = "likelier" if lever.promoted_logratio > 0 else "less likely"
    figure = f"{times:,.0f}" if times >= 10 else f"{times:.1f}"
    of = (
        "its layer"
        if lever.n_known == lever.n_features
        else (f"the {lever.n_known:,} of {lever.n_features:,} measured so far")
    )
    return (
        f"Pushed in by {lever.push:g} × the stream’s usual length, it makes the words that it "
        f"promotes {figure} times {how} as the next word; that is more than {percent(lever.below)} "
        f"of {of}."
    )


def answer_line(score: AnswerScore) -> str:
    """What pushing a feature in does to whole answers."""
    low, high = score.over_control.low, score.over_control.high
    verdict = (
        "Whole answers move towards its own words"
        if score.moves
        else "Whole answers were not seen to move towards its own words"
    )
    return (
        f"{verdict}: {_per_100(score.pushed)} of 100 words with a push of {score.push:g}, "
        f"{_per_100(score.plain)} without, {_per_100(score.control)} with another feature pushed "
        f"as far (difference {_per_100(low)} to {_per_100(high)})."
    )


def answer_details(score: AnswerScore) -> str:
    """The words that were counted, and one answer of each kind."""
    lines = [f"Its own words: {', '.join(score.words[:12])}", "", f"“{score.questions[0]}”"]
    names = ("without", "pushed in", "another feature")
    lines += [
        f"{name}: {answers[0][:90]} …" for name, answers in zip(names, score.answers, strict=True)
    ]
    lines += [
        "",
        "Twelve plain questions, answered greedily with 40 words or parts of words each. Its own\n"
        "words stand in two or more of its examples, three times as often as by chance. The\n"
        "interval (95 %, bootstrap) is over the questions: it moves if both differences exclude 0.",
    ]
    return "\n".join(lines)


def _per_100(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def interest_line(interest: Interest) -> str:
    """The formula of interest with this feature's numbers."""
    return (
        f"Interest {interest.score:.2f} = variety {interest.variety:.2f} "
        f"({interest.distinct} different words at the peaks of its examples)\n"
        f"× kinship {interest.kinship:.2f} (how alike the model’s own vectors of those words are, "
        "the weak ones among the strong)\n"
        f"× rarity {interest.rarity:.2f} (of the words, in the text)\n"
        f"× density {interest.density:.2f} (fires neither nearly never nor nearly everywhere)\n"
        f"× kind {interest.kind:.2f} (of label: a topic counts more than one word, markup nothing)"
    )


def as_markdown(card: Card, insight: Insight | None = None) -> str:
    """The whole card, for notes and issues."""
    lines = [
        f"## {title(card.label, card.name)}",
        "",
        f"Feature `{card.name}` ({where(card)}, `{card.hook_name}`); {source(card.label)}.",
        "",
        facts(card, None),
    ]
    if insight is not None:
        lines += ["", f"{role(card, insight)}."]
        if insight.lever is not None:
            lines[-1] += f" {lever_line(insight.lever)}"
    if card.top_tokens:
        shares = (f"{_code(t.text)} {percent(t.share)}" for t in card.top_tokens)
        lines += ["", "**Strongest on**: " + ", ".join(shares) + " of its total activation."]
    for name, effects in (("Promotes", card.promotes), ("Suppresses", card.suppresses)):
        if effects:
            lines += ["", f"**{name}**: " + ", ".join(_code(t.text) for t in effects)]
    for band, name in (("top", "Strongest examples"), ("mid", "Mid-range examples")):
        examples = [example for example in card.examples if example.band == band]
        if examples:
            lines += ["", f"### {name}", ""]
            lines += [f"- {number(example.value)}: {_marked(example)}" for example in examples]
    if card.cofiring:
        lines += ["", f"### Fires together with (on {card.cofiring_tokens:,} tokens)", ""]
        lines += [
            f"- `{c.name}` {title(c.label, c.name)}: {c.together:,} of {c.fires:,} times, "
            f"{c.lift:,.0f} × chance"
            for c in card.cofiring
        ]
    if card.neighbours:
        lines += ["", "### Similar features (cosine of the decoder rows)", ""]
        lines += [f"- `{n.name}` {title(n.label, n.name)}: {n.cosine:.2f}" for n in card.neighbours]
    return "\n".join(lines) + "\n"


def _code(token: str) -> str:
    """A token that may hold anything, as Markdown code."""
    text = token.replace("\n", "⏎").replace("`", "ˋ")
    return f"`{text}`"


def _marked(example: Example) -> str:
    """The example on one line, its peak in bold, its own signs not taken for Markdown."""
    parts = [_escaped(text) for text in example.texts]
    peak = parts[example.peak]
    inner = peak.strip()
    if inner:
        before, after = peak[: len(peak) - len(peak.lstrip())], peak[len(peak.rstrip()) :]
        parts[example.peak] = f"{before}**{inner}**{after}"
    else:
        parts[example.peak] = "**␣**"
    return "".join(parts).strip()


def _escaped(text: str) -> str:
    text = text.replace("\n", "⏎")
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|" else sign for sign in text)
