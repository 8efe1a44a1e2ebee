"""What the grid of layers and tokens shows, from the state alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.aligning import align
from desktop_scope.engine.lenses import LensGrid
from desktop_scope.engine.types import FeatureId, Floats, Trace
from desktop_scope.evidence.types import FeaturePath
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.grid import BY_LENS, Quantity
from desktop_scope.gui.widgets.heat_cells import Scale
from desktop_scope.gui.widgets.painting import number

OF_FAMILY = frozenset({Quantity.STRENGTH, Quantity.CHANGE})
_OF_SAES = frozenset({Quantity.ACTIVE, Quantity.MISSED})
_NO_SAE = "No autoencoder is open: “What it would say” needs none."
_MOST = 99.0  # percentile of the values that has full colour: outliers do not decide alone


@dataclass(frozen=True)
class Row:
    """One row of the grid.

    Attributes:
        slot: The SAE whose features are meant; None where there is none.
        feature: Of the family that is shown.
    """

    layer: int
    name: str
    slot: int | None = None
    feature: FeatureId | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """The cells, the first layer first.

    Attributes:
        values: What was measured, [rows, tokens]; nan where nothing was.
        shade: Their colours, 0…1 or −1…1.
        low: What the least colour stands for, and ``high`` the most.
        lacks: What a person has to do before there is something to see.
    """

    rows: tuple[Row, ...]
    values: Floats
    shade: NDArray[np.floating]
    scale: Scale = Scale.ORDER
    low: str = "0"
    high: str = ""
    lacks: str = ""

    def row_of(self, state: AppState) -> int:
        """The row of what is selected; −1 for none."""
        feature, layer = state.selection.feature, state.grid.layer
        rows = list(enumerate(self.rows))
        own = [n for n, row in rows if feature is not None and row.feature == feature]
        own = own or [n for n, row in rows if feature is not None and row.slot == feature.sae]
        if layer is not None:  # a cell of the grid was chosen: it may have no feature
            there = [n for n, row in rows if row.layer == layer]
            own = [n for n in own if n in there] or there or own
        return own[0] if own else -1


def picture(state: AppState) -> Picture | None:
    """What is to be seen; None before there is a text, or a family to follow in it."""
    trace, quantity = state.trace, state.grid.quantity
    if trace is None:
        return None
    if quantity in OF_FAMILY and state.saes:
        return _of_family(state, trace)
    if quantity in _OF_SAES and state.saes:
        return _of_saes(state, trace)
    rows = tuple(Row(n, str(n), _slot_at(state, n)) for n in range(len(trace.residual_norm)))
    if quantity in OF_FAMILY | _OF_SAES:
        nothing = np.full((len(rows), trace.n_tokens), np.nan, np.float32)
        return Picture(rows, nothing, nothing, lacks=_NO_SAE)
    if quantity in BY_LENS:
        return _by_lens(state, trace, rows)
    return _lengths(rows, trace)


def _slot_at(state: AppState, layer: int) -> int | None:
    return next((n for n, info in enumerate(state.saes) if info.layer == layer), None)


def _of_family(state: AppState, trace: Trace) -> Picture | None:
    path = state.path
    if path is None or path.values.shape[1] != trace.n_tokens:
        return None  # of the text before; the one of this text is on its way
    rows = tuple(
        Row(
            state.saes[member.feature.sae].layer,
            member.name.rpartition("/")[0],
            member.feature.sae,
            member.feature,
        )
        for member in path.family
    )
    if state.grid.quantity is Quantity.STRENGTH:
        return Picture(rows, path.values, path.values, Scale.STRENGTH, "0", "its maximum")
    values, lacks = _change(state, trace, path)
    top = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    return Picture(
        rows, values, values / top, Scale.SIGNED, f"−{number(top)}", f"+{number(top)}", lacks
    )


def _change(state: AppState, trace: Trace, path: FeaturePath) -> tuple[Floats, str]:
    """How much stronger than in the other prompt, token by token; nan where it has no like."""
    grid, values = state.grid, np.full_like(path.values, np.nan)
    if not grid.against.strip():
        return (
            values,
            "Type another prompt: what becomes stronger in this one is blue, weaker orange.",
        )
    other, there = grid.other, grid.other_path
    is_known = (
        other is not None
        and there is not None
        and other.prompt.text.strip() == grid.against.strip()
        and [m.feature for m in there.family] == [m.feature for m in path.family]
        and there.values.shape[1] == other.n_tokens
    )
    if is_known and other is not None and there is not None:
        mine, theirs = align(trace.ids, other.ids).T
        values[:, mine] = path.values[:, mine] - there.values[:, theirs]
    return values, ""


def _of_saes(state: AppState, trace: Trace) -> Picture:
    shown = state.shown
    slots = [n for n in range(len(state.saes)) if not shown or shown[n]]
    rows = tuple(Row(state.saes[n].layer, state.saes[n].place, n) for n in slots)
    if state.grid.quantity is Quantity.ACTIVE:
        values = np.stack([_active(trace, n, shown) for n in slots])
        values[:, trace.masked] = np.nan
        return _ordered(rows, values, "{:,.0f}")
    errors = state.grid.errors
    values = np.full((len(rows), trace.n_tokens), np.nan, np.float32)
    if errors is not None and errors.trace is trace and errors.shown == shown:
        values = errors.share[slots]
    return _ordered(rows, values, "{:.0%}")


def _active(trace: Trace, slot: int, shown: tuple[int, ...]) -> Floats:
    """How many features of an SAE fire, by token."""
    acts = trace.acts[slot]
    rows = acts.rows()
    if shown:
        rows = rows[acts.indices < shown[slot]]
    return np.bincount(rows, minlength=trace.n_tokens).astype(np.float32)


def _ordered(rows: tuple[Row, ...], values: Floats, form: str) -> Picture:
    """From 0 to about the largest."""
    top = float(np.nanpercentile(values, _MOST)) if np.isfinite(values).any() else 0.0
    top = top or 1.0
    return Picture(rows, values, values / top, high=form.format(top))


def _lengths(rows: tuple[Row, ...], trace: Trace) -> Picture:
    """On a logarithmic scale: a stream grows by some share from layer to layer."""
    sizes = np.log(np.maximum(trace.residual_norm, 1e-9))
    # The first token is a sink of attention, and many times longer than the others.
    plain = sizes[:, ~trace.masked] if (~trace.masked).any() else sizes
    low, high = float(plain.min()), float(plain.max())
    shade = (sizes - low) / max(high - low, 1e-9)
    return Picture(
        *(rows, trace.residual_norm, shade),
        low=number(math.exp(low)),
        high=number(math.exp(high)),
    )


def _by_lens(state: AppState, trace: Trace, rows: tuple[Row, ...]) -> Picture:
    grid = state.grid
    nothing = np.full((len(rows), trace.n_tokens), np.nan, np.float32)
    lacks = ""
    if grid.quantity is Quantity.WORD and not grid.word:
        lacks = "Type a word: how likely it is in every layer, at every token."
    read = None if lacks else grid.read_of(trace)
    if grid.quantity is Quantity.SURE:
        values = _filled(nothing, read, "probs")
        return Picture(rows, values, values, low="0 %", high="100 %")
    n_words = state.model.vocab_size if state.model is not None else 2
    if grid.quantity is Quantity.OPEN:
        values, most = _filled(nothing, read, "entropy"), math.log(n_words)
        return Picture(rows, values, values / most, high=f"{number(most)} nats")
    values = _filled(nothing, read, "rank")
    shade = 1 - np.log(np.maximum(values, 1)) / math.log(n_words)
    return Picture(rows, values, shade, low=f"{n_words:,}", high="1st", lacks=lacks)


def _filled(nothing: Floats, read: LensGrid | None, what: str) -> Floats:
    """What the lens has read, by layer."""
    values = nothing.copy()
    if read is not None:
        found = read.probs[..., 0] if what == "probs" else getattr(read, what)
        values[read.first :] = found
    return values
