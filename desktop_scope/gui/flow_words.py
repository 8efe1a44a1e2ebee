"""What the Flow panel says, from the state alone."""

from __future__ import annotations

import math

import numpy as np

from desktop_scope.engine.flow_types import Edge, Flow, FlowCheck, Side, Way
from desktop_scope.evidence.types import Label, Source
from desktop_scope.gui.naming import title
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.cause_table import signed
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.ribbons import Ribbon
from desktop_scope.gui.widgets.token_layout import shown

_SEEN = 0.005  # a remainder that is smaller is not drawn
_UNITS = {
    Way.PROMPT: "of the reader’s activation; negative: it takes away from it",
    Way.MLPS: "to the reader for each unit of the writer, at this token",
    Way.WEIGHTS: "to the reader for each unit of the writer, along the stream alone",
}
_REMAINDERS = (
    ("others", "other features", "What all features that are not listed bring together"),
    ("error", "not explained", "What the autoencoder leaves out of the stream (its error)"),
    ("bias", "constant part", "What the autoencoder writes whatever fires (its bias)"),
    (
        "rest",
        "everything else",
        "What comes from no feature of that layer: added by the layers between, whatever is\n"
        "active; and what a straight line leaves out of a curve",
    ),
)


def ribbons(state: AppState, flow: Flow, which: int) -> tuple[Ribbon, ...]:
    """What is drawn of one side: features, then what is left over."""
    side, check = (flow.upstream, flow.downstream)[which], state.flow.checked
    measured = (None, None) if check is None else (check.upstream, check.downstream)
    whole = sum(abs(edge.share) for edge in side.edges) if math.isnan(side.others) else 1.0
    found = []
    for n, edge in enumerate(side.edges):
        label = state.flow.labels.get(edge.feature, Label("", Source.NONE, "low"))
        name, fell = state.name_of(edge.feature), measured[which]
        fallen = None if fell is None else float(fell[n])
        said = signed(edge.value) + ("" if fallen is None else f" ({signed(fallen)})")
        help_ = _help(flow, edge, label, name, which, fallen)
        share, dim = edge.share / (whole or 1.0), label.doubtful
        text = title(label, name)
        found.append(Ribbon(text, share, said, help_, dim=dim, negative=edge.value < 0))
    return (*found, *_left_over(side, which))


def _left_over(side: Side, which: int) -> list[Ribbon]:
    parts = [(getattr(side, name), text, help_) for name, text, help_ in _REMAINDERS]
    of = "of all that flows" if which == 0 else "of what arrives there"
    return [
        Ribbon(text, share, _percent(share), f"{help_}:\n{_percent(share)} {of}", grey=True)
        for share, text, help_ in parts
        if abs(share) > _SEEN
    ]


def _percent(share: float) -> str:
    return f"{share:+.0%}".replace("%", " %").replace("-", "−")


def _help(
    flow: Flow, edge: Edge, label: Label, name: str, which: int, measured: float | None
) -> str:
    way, token = flow.question.way, shown(flow.texts[edge.token]).text
    verb = "brings" if which == 0 else "gives"
    lines = [title(label, name), f"feature {name}"]
    lines.append(f"{verb} {signed(edge.value)} {_UNITS[way]}")
    if edge.activation > 0:
        lines.append(f"it is {number(edge.activation)} on “{token}”")
    elif way is not Way.PROMPT:
        lines.append("it is silent on this prompt")
    if way is Way.PROMPT:
        of = "of all that flows in" if which == 0 else "of what arrives there"
        lines.append(f"≈ {percent(abs(edge.share))} {of}")
    if measured is not None:
        lines.append(f"really switched off: the reader falls by {number(measured)}")
    return "\n".join(lines)


def check_words(check: FlowCheck) -> str:
    """How far the estimates were right."""
    said = []
    sides = ((check.flow.upstream, check.upstream), (check.flow.downstream, check.downstream))
    for (side, measured), name in zip(sides, ("in", "out"), strict=True):
        rank, signs, n = check.agreement(side, measured)
        if n == 0:
            continue
        order = "" if math.isnan(rank) else f"order {number(rank)}, "
        said.append(f"{name}: {order}signs {percent(signs)} of {n}")
    return " · ".join(said) or "None of these fires here: there is nothing to switch off."


def heading(side: Side, which: int) -> str:
    """Which layer, and how many of its features are drawn."""
    way = "to" if which else "from"
    if not side.edges:
        return f"{way} layer {side.layer}"
    return f"{way} layer {side.layer} · {len(side.edges)} of {side.n_features:,} features"


def headline(state: AppState, flow: Flow) -> str:
    """Which feature, how strong, where."""
    label = state.flow.labels.get(flow.question.feature)
    name = state.name_of(flow.question.feature)
    text = name if label is None else title(label, name)
    token = shown(flow.texts[flow.token]).text
    if flow.activation <= 0:
        return f"{text} (silent here)"
    return f"{text} · {np.round(flow.activation, 1):g} on “{token}”"
