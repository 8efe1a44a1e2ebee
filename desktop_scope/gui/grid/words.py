"""What a cell of the grid says: in a word, and on hover all that is known of it."""

from __future__ import annotations

import numpy as np

from desktop_scope.engine.lenses import LensGrid, LensKind
from desktop_scope.engine.types import FeatureId, Trace
from desktop_scope.gui.grid.picture import OF_FAMILY, Picture, Row
from desktop_scope.gui.naming import title, with_number
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.grid import BY_LENS, Quantity
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.token_layout import shown

MENU = (
    (Quantity.STRENGTH, "Strength", "How strongly the selected feature, and its like in every\n"
     "other layer, fires: as a share of the strongest seen of each."),
    (Quantity.ACTIVE, "Active features", "How many features fire (L0)."),
    (Quantity.MISSED, "What features miss", "The share of the variance that the features leave\n"
     "unexplained: squared error over the mean squared distance from the mean.\n"
     "A row’s mean is its FVU on this text."),
    (Quantity.LENGTH, "Length of the stream", "The norm of the residual stream after each layer,\n"
     "on a logarithmic scale."),
    (Quantity.SURE, "What it would say", "Each layer read as words: the likeliest one, and its\n"
     "probability as the colour."),
    (Quantity.OPEN, "How open that is", "Each layer read as words: the entropy of what it would\n"
     "say. 0 is certain."),
    (Quantity.WORD, "A word", "Each layer read as words: the rank of a word that you type.\n"
     "1 is what it would say."),
    (Quantity.CHANGE, "Change", "How much stronger than in another prompt the selected feature\n"
     "and its like fire; tokens are aligned, those without a like are left out."),
)  # fmt: skip

LENSES = {
    LensKind.LOGIT: "Logit lens: a layer’s stream through the model’s final norm and unembedding,\n"
    "as if no layer came after it. Before the last third of the layers it says little.",
    LensKind.TUNED: "Tuned lens: an affine map for each layer, fitted on text to what the model\n"
    "makes of it in the end (Belrose et al. 2023). Fitting takes about a minute, once.",
}


def heading(state: AppState, picture: Picture) -> str:
    """What is seen, in one line."""
    quantity, path = state.grid.quantity, state.path
    if quantity in BY_LENS and not state.grid.lens_ready:
        fit = state.grid.fit
        doing, total = (fit.doing, fit.total) if fit is not None else ("", 0)
        share = f": {doing}, {100 * fit.done // total} %" if fit is not None and total else " …"
        return f"Fitting the tuned lens, once for this model{share}"
    if picture.lacks:
        return picture.lacks
    if quantity in OF_FAMILY and path is not None:
        own = path.family[path.own]
        also = ", and its best match in every layer" if len(path.family) > 1 else ""
        change = f", against “{state.grid.against}”" if quantity is Quantity.CHANGE else ""
        return f"{title(own.label, own.name)}{also}{change}"
    return {
        Quantity.ACTIVE: "How many features fire, layer by layer",
        Quantity.MISSED: "What the features leave unexplained",
        Quantity.LENGTH: "How long the residual stream is",
        Quantity.SURE: "What each layer would say next, and how sure it is",
        Quantity.OPEN: "How much each layer leaves open",
        Quantity.WORD: f"Where “{state.grid.word}” comes up",
    }.get(quantity, "")


def fitted(state: AppState) -> str:
    """How the tuned lens does; empty before it is there."""
    fit = state.grid.fit
    if fit is None or not fit.ready:
        return ""
    picked = range(0, len(fit.tuned_kl) - 1, max(len(fit.tuned_kl) // 6, 1))
    lines = [f"  {n}:  {fit.logit_kl[n]:.1f}  →  {fit.tuned_kl[n]:.1f}" for n in picked]
    words = (
        f"\n\nFitted on {fit.n_fitted:,} tokens. KL divergence from the model on {fit.n_held_out:,}"
        " others, nats,\nby layer: of the logit lens → of the tuned lens\n"
    )
    note = f"\n{fit.note}" if fit.note else ""
    return words + "\n".join(lines) + note


def strongest(state: AppState, row: Row, token: int) -> FeatureId | None:
    """The strongest feature of a cell, if any fires there."""
    cells = state.grid.cells
    if cells is None or cells.trace is not state.trace or row.slot is None:
        return None
    return cells.at(row.slot, token)


def in_cell(state: AppState, picture: Picture, n: int, token: int) -> str:
    """What stands in a large cell."""
    row, quantity = picture.rows[n], state.grid.quantity
    if quantity in BY_LENS:
        read = state.grid.read_of(state.trace)
        if read is None or row.layer < read.first:
            return ""
        at = row.layer - read.first
        if quantity is Quantity.WORD:
            return f"{int(read.rank[at, token]):,}"
        return shown(read.texts[int(read.top[at, token, 0])]).text
    if quantity is Quantity.LENGTH:
        return number(float(picture.values[n, token]))
    feature = strongest(state, row, token)
    return "" if feature is None else _label(state, feature)


def _label(state: AppState, feature: FeatureId) -> str:
    cells = state.grid.cells
    known = "" if cells is None else cells.labels.get(feature, "")
    return known or state.name_of(feature)


def read_out(state: AppState, picture: Picture, n: int, token: int) -> str:
    """All that is known of a cell."""
    trace, row = state.trace, picture.rows[n]
    assert trace is not None
    word = trace.texts[token].strip() or shown(trace.texts[token]).text
    lines = [f"layer {row.name}, “{word}”"]
    value = float(picture.values[n, token])
    if row.slot is not None and trace.masked[token]:
        lines[0] += ", not encoded"
    if row.feature is not None and state.path is not None:
        member = state.path.family[n]
        said = percent(value) if state.grid.quantity is Quantity.STRENGTH else _signed(value)
        lines[0] += f": {said} of its maximum"
        how, likeness = state.path.likeness
        alike = f"  ({how} {number(float(likeness[n]))})"
        lines.append(with_number(member.label, member.name) + alike)
    lines += _of_features(state, picture, row, n, token)
    lines.append(f"length of the stream: {number(float(trace.residual_norm[row.layer, token]))}")
    read = state.grid.read_of(trace)
    if read is not None and row.layer >= read.first:
        lines += _of_lens(read, row.layer - read.first, token)
    return "\n".join(lines)


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{percent(value)}" if np.isfinite(value) else "no like"


def _of_features(state: AppState, picture: Picture, row: Row, n: int, token: int) -> list[str]:
    lines: list[str] = []
    trace: Trace | None = state.trace
    if row.slot is None or trace is None:
        return lines
    feature, cells = strongest(state, row, token), state.grid.cells
    if feature is not None and cells is not None and feature != row.feature:
        share = percent(float(cells.strength[row.slot, token]))
        name = state.name_of(feature)
        lines.append(f"strongest there: {_label(state, feature)}  ·  {name}, {share}")
    fires = int(np.diff(trace.acts[row.slot].indptr)[token])
    lines.append(f"{fires:,} features fire")
    if state.grid.quantity is Quantity.MISSED and np.isfinite(picture.values[n, token]):
        lines.append(f"{percent(float(picture.values[n, token]))} of the variance is unexplained")
    return lines


def _of_lens(read: LensGrid, at: int, token: int) -> list[str]:
    ids, probs = read.top[at, token].tolist(), read.probs[at, token].tolist()
    said = ", ".join(
        f"{shown(read.texts[i]).text} {percent(p)}" for i, p in zip(ids, probs, strict=True)
    )
    lines = [f"{read.kind.value}: {said}", f"entropy {number(float(read.entropy[at, token]))} nats"]
    if read.word:
        rank, chance = int(read.rank[at, token]), float(read.chance[at, token])
        lines.append(f"“{read.word}”: rank {rank:,}, {percent(chance)}")
    return lines
