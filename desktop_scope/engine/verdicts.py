"""What the measurements of an SAE mean, in one word and one sentence.

The bounds are rules of thumb: published SAEs of usual sparsity leave 5 to 40 % of the variance
unexplained and recover 80 to 99 % of the loss; one on the wrong hook is far beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from desktop_scope.engine.health import Tried, Verdict
from desktop_scope.engine.sae_weights import SaeWeights

_UNUSABLE_FVU, _POOR_FVU = 0.7, 0.45
_UNUSABLE_CE, _POOR_CE = 0.3, 0.7
_L0_FACTOR = 3.0
_ABSURD = 10
_BETTER = 0.9  # another place is named when its FVU is at most this share


def share(figure: float) -> str:
    """In percent; what is absurdly large or small is not spelt out."""
    if math.isnan(figure):
        return "an unknown part"
    if abs(figure) > _ABSURD:
        return f"more than {_ABSURD * 100} %" if figure > 0 else f"less than −{_ABSURD * 100} %"
    return f"{figure * 100:.0f} %"


def best_of(tried: Sequence[Tried], fvu: float) -> Tried | None:
    """The place that is clearly better than an FVU, if any.

    Args:
        tried: Other places, the best first, measured on the same text.
    """
    most = min(_BETTER * fvu, _UNUSABLE_FVU)
    return next((place for place in tried if place.fvu < most), None)


def judged(
    weights: SaeWeights,
    l0: float,
    fvu: float,
    recovered: float,
    best: Tried | None,
    compared_fvu: float,
) -> tuple[Verdict, str]:
    """A verdict on an SAE, and the reason as the end of a sentence.

    Args:
        weights: Where it is attached, and what it declares.
        best: A clearly better place.
        compared_fvu: Its own FVU on the text on which other places were tried.
    """
    if best is not None:
        far = fvu > _POOR_FVU or best.fvu < compared_fvu / 2
        verdict = Verdict.RED if far else Verdict.AMBER
        return verdict, (
            f"it fits better {_in_words(best, weights)}: that leaves {share(best.fvu)} of the "
            f"variance unexplained, this {share(compared_fvu)}"
        )
    if not fvu <= _UNUSABLE_FVU or recovered < _UNUSABLE_CE:
        return Verdict.RED, (
            f"it does not describe this model: {share(fvu)} of the variance unexplained, "
            f"{share(recovered)} of the loss recovered"
        )
    declared = weights.declared_l0
    if declared and not declared / _L0_FACTOR <= l0 <= declared * _L0_FACTOR:
        return Verdict.AMBER, (
            f"{l0:.0f} features fire on a token, where {declared:.0f} are declared"
        )
    if fvu > _POOR_FVU or recovered < _POOR_CE:
        return Verdict.AMBER, (
            f"it describes this model poorly: {share(fvu)} of the variance unexplained, "
            f"{share(recovered)} of the loss recovered"
        )
    return Verdict.GREEN, (
        f"{share(fvu)} of the variance unexplained, {share(recovered)} of the loss recovered"
    )


def _in_words(place: Tried, weights: SaeWeights) -> str:
    """What is different there."""
    parts = []
    if (place.hook_name, place.hook_out) != (weights.reads[0].name, weights.writes[0].name):
        same = place.hook_name == place.hook_out
        parts.append(f"at {place.hook_name}" + ("" if same else f" → {place.hook_out}"))
    if place.norm != weights.norm:
        parts.append(f"with {place.norm.replace('_', ' ')} of its input")
    if place.centred != weights.centred:
        parts.append("with centred input" if place.centred else "without centring its input")
    if place.subtract_b_dec != weights.subtract_b_dec:
        parts.append(("" if place.subtract_b_dec else "not ") + "subtracting b_dec")
    return " and ".join(parts)
