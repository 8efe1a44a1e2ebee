"""A label's score in words."""

from __future__ import annotations

from collections.abc import Sequence

from desktop_scope.evidence.types import ABLE_JUDGE, Label, Source, Verdict

_UNSCORED = "Not scored: whether it tells where the feature fires was not tried, or cannot be."


def about_score(label: Label, verdict: Verdict | None) -> str:
    """How well a label tells where its feature fires, with the numbers behind it."""
    if label.source is Source.NONE:
        return ""
    if label.score is None:
        return _UNSCORED
    if verdict is None:
        return ""
    alarms, silent = verdict.alarms + verdict.hard_alarms, verdict.silent + verdict.hard
    sorts = "false alarm" if alarms == 1 else "false alarms"
    poor = "Hardly better than chance (0.5): on" if label.doubtful else "On"
    return (
        f"{poor} held-out text it finds {verdict.caught} of {verdict.fires} places where the "
        f"feature fires, with {alarms} {sorts} at {silent} where it does not."
    )


def about_models(verdicts: Sequence[Verdict]) -> str:
    """What language models made of a label, and what that is worth."""
    return "\n".join(f"{verdict.judge}: {verdict.told}" for verdict in verdicts)


def about_judges(verdicts: Sequence[Verdict]) -> str:
    """What the judges' own figures mean, for those who hover; nothing without any."""
    if not verdicts:
        return ""
    return (
        "The judge itself: how well the model tells texts in which a given word stands (detection),"
        "\nor is marked (fuzzing), from others. Chance is 0.5; its verdict counts from "
        f"{ABLE_JUDGE} on."
    )


def about_verdict(verdict: Verdict | None, held_out: str) -> str:
    """The definition, for those who hover."""
    if verdict is None:
        return ""
    how = (
        "Only the words, marks and word groups in the label are looked for: what it says of\n"
        "grammar or meaning beyond them is not understood, and costs it points."
        if verdict.judge == "words"
        else f"Judged by {verdict.judge}."
    )
    return (
        f"Tried in {held_out},\nwhere the feature fires "
        "with a fifth of its maximum or more, and where it is silent. Balanced accuracy: the mean\n"
        "of the share of firing places found and the share of silent places left alone.\n"
        f"False alarms: at {verdict.hard_alarms} of {verdict.hard} places where a similar feature "
        f"fires, at {verdict.alarms} of {verdict.silent} elsewhere.\n{how}"
    )
