"""``feature --family``: what a feature comes from, and what it splits into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from desktop_scope.cli.common import columns, feature_json, known, place, terminal_job
from desktop_scope.engine.types import FeatureId, SaeInfo
from desktop_scope.evidence.kinship.types import Basis, Family, Kin, MeasureKin, ReadFamily
from desktop_scope.workbench import Workbench


def family_json(bench: Workbench, feature: FeatureId) -> dict[str, Any]:
    """The family; what has not been counted of it is read off examples now."""
    job = terminal_job()
    family: Family = bench.handle(ReadFamily(feature), job)
    while family.unmeasured:
        bench.handle(MeasureKin(family.unmeasured[0]), job)
        family = bench.handle(ReadFamily(feature), job)
    infos, branch = bench.engine.infos, family.branches[feature]
    return {
        "sizes": list(family.sizes),
        "line": [_kin(infos, kin) for kin in family.line],
        "splits_into": [_kin(infos, kin) for kin in branch.kin],
        "n_children": branch.n,
        "sample_tokens": family.n_tokens,
    }


def _kin(infos: Sequence[SaeInfo], kin: Kin) -> dict[str, Any]:
    return feature_json(infos, kin.feature, kin.label) | {
        "size": kin.size,
        "cosine": known(kin.cosine),
        "parent_fires_too": known(kin.share),
        "lift": known(kin.lift),
        "n_tokens": kin.n_tokens,
        "measured_on": kin.basis.value,
    }


def family_lines(found: dict[str, Any]) -> list[str]:
    """For people: a tree."""
    if len(found["sizes"]) < 2:
        return ["Its SAE has one size only: there is nothing coarser or finer to compare it with."]
    rows = [_row(kin, depth) for depth, kin in enumerate(found["line"])]
    depth = len(found["line"])
    rows += [_row(kin, depth) for kin in found["splits_into"]]
    lines = [
        "Family (size that first has it, cosine with its parent, how often the parent fires too)",
        columns(rows, right=frozenset({1, 2, 3})),
    ]
    if found["line"][0]["size"] > found["sizes"][0]:
        lines.append("  Nothing is known of what it comes from: no coarser feature is alike.")
    left = found["n_children"] - len(found["splits_into"])
    if left:
        lines.append(f"  and {left} more")
    return lines


def _row(kin: dict[str, Any], depth: int) -> list[str]:
    name = f"{'  ' * depth}  {place(kin)}/{kin['index']}"
    measured = kin["measured_on"] != Basis.NONE
    share = "" if kin["cosine"] is None else "–"
    if measured and kin["parent_fires_too"] is not None:
        share = f"{kin['parent_fires_too']:.0%} of {kin['n_tokens']:,}"
    cosine = "" if kin["cosine"] is None else f"{kin['cosine']:.2f}"
    return [name, f"{kin['size']:,}", cosine, share, kin["label"]]
