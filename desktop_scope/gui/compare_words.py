"""What the Compare panel says, from the state alone."""

from __future__ import annotations

import numpy as np

from desktop_scope.evidence.types import Label, Source
from desktop_scope.experiments.compare_types import By, Comparison, Difference
from desktop_scope.gui import compare_actions
from desktop_scope.gui.naming import title
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.compare import What
from desktop_scope.gui.widgets.difference_table import DifferenceRow
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.token_layout import shown

_WORSE = 1.25  # times as much unexplained: an SAE has lost its grip there
_NOTED = 0.02  # of the variance, at least


def rows(state: AppState, found: Comparison) -> list[DifferenceRow]:
    """The list."""
    return [_row(state, found, difference) for difference in found.rows]


def _row(state: AppState, found: Comparison, difference: Difference) -> DifferenceRow:
    feature, side = difference.feature, difference.side
    label = state.compare.labels.get(feature, Label("", Source.NONE, "low"))
    name = state.name_of(feature)
    token = shown(found.texts[side][difference.tokens[side]]).text
    mean = f"{100 * difference.mean:+.1f} %".replace("-", "−")
    over = f"mean difference over {len(found.pairs)} tokens {mean} of its maximum"
    lines = [
        title(label, name),
        f"feature {name}",
        f"{number(difference.a)} on the first side, {number(difference.b)} on the second",
        over if found.by is By.TOKENS else "means over all tokens of either side",
    ]
    return DifferenceRow(
        difference, name.rpartition("/")[0], title(label, name), label.doubtful, token,
        "\n".join(lines),
    )  # fmt: skip


def note(state: AppState) -> tuple[str, str]:
    """What came of it in a line, and more of it on hover."""
    look, found = state.compare, state.compare.found
    if state.busy("compare"):
        return "reading both sides …", ""
    if state.busy("beside"):
        return "opening the second model …", ""
    if found is None:
        return second_words(state) if look.what is What.MODELS else ("", "")
    said = [_summary(state, found)]
    if not look.is_current:
        said.insert(0, "of what was compared before")
    return " · ".join(said), "\n".join(found.notes)


def _summary(state: AppState, found: Comparison) -> str:
    differ = int(np.count_nonzero(np.abs(found.share) >= 0.05))
    over = f"{len(found.pairs)} aligned tokens" if found.by is By.TOKENS else "means of the wholes"
    text = f"{over}: {differ:,} features differ by 5 % of their maximum or more"
    names = "" if found.models[0] == found.models[1] else f"{' → '.join(found.models)} · "
    return f"{names}{text} · {broken(state, found)}"


def broken(state: AppState, found: Comparison) -> str:
    """At which layers the autoencoders explain the second side clearly worse."""
    first, second = found.fvu
    with np.errstate(invalid="ignore"):
        worse = np.flatnonzero((second > _WORSE * first) & (second - first > _NOTED))
    if not np.isfinite(first).any():
        return "what the autoencoders leave out cannot be told here"
    if not len(worse):
        return "the autoencoders fit both alike"
    layers = [state.saes[slot].place for slot in worse.tolist()]
    named = ", ".join(layers[:6]) + (" …" if len(layers) > 6 else "")
    k = int(worse[np.argmax(second[worse] - first[worse])])
    return (
        f"autoencoders fit the second worse at layer {named} (at {state.saes[k].place} "
        f"{percent(float(first[k]))} → {percent(float(second[k]))} unexplained)"
    )


def second_words(state: AppState) -> tuple[str, str]:
    """Which second model, and what it takes."""
    look = state.compare
    if look.beside is not None:
        return f"Open beside: {look.beside.id}, {look.beside.dtype}", look.beside.path
    name = "this model" if look.second.path is None else look.second.path.name
    room = look.room
    if room is None or (room.request.path != look.second.path and look.second.path is not None):
        return name, ""
    needs = f"{name}: takes {room.needed / 1e9:.1f} GB, {room.available / 1e9:.1f} GB are free"
    more = "The open model stays, so that is beside what is taken already."
    if not room.fits:
        return f"{needs}: too little", "\n".join((*room.advice, more))
    return needs, more


def sentence(state: AppState) -> tuple[str, str]:
    """What an empty panel says, and what its button says."""
    look = state.compare
    if state.model is not None and not state.saes:
        return "Open autoencoders first: their features are what is compared.", "Open the library"
    ready = compare_actions.readings(state) is not None
    if look.what is What.PROMPTS:
        return (
            "What does one word change? Type another prompt: here stands which features differ "
            "most, at which token, and whether the autoencoders fit both.",
            "Compare" if ready else "",
        )
    if look.what is What.ANSWERS:
        if ready:
            return "Which features tell the steered answer from the plain one?", "Compare"
        return (
            "What did steering change? Turn a dial in the steering rack, and let both answer.",
            "Go to the steering rack",
        )
    if look.beside is None:
        return (
            "Does tuning or rounding break the autoencoders? Open the same model in other "
            "numbers, or another one of its kind, beside this one; it is let go of when you say.",
            "",
        )
    return "Both models read the prompt above, and its answer if there is one.", "Compare"
