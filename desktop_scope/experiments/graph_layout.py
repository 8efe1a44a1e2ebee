"""Where the nodes of a feature graph stand: tokens from left to right, layers upwards.

Features at the same token whose labels have words in common are drawn as one node, since a model
hands a thought on from layer to layer. Edges are pruned to those that carry most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from desktop_scope.engine.questions import Cause, FeatureGraph
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId, Floats, Ints, lock

WIDTH, HEIGHT = 150.0, 20.0  # of a node
_LANE = WIDTH + 14
_ROW = 34.0  # from one layer that has nodes to the next
_GAP = 26.0  # between the columns of two tokens
_CARRIED = 0.7  # of what all edges carry, that the drawn ones do
_PER_NODE = 2  # edges at most, for each node
_ALIKE = 0.34  # share of words in common
_WORD = re.compile(r"[^\W\d_]{2,}")
_EMPTY = frozenset({
    "words", "starting", "with", "about", "mixed", "when", "weak", "various", "dense", "also",
    "before", "after", "the", "and", "of", "to", "in", "or", "an", "is", "it", "its", "on", "for",
    "feature", "other", "partly",
})  # fmt: skip


@dataclass(frozen=True)
class DrawPath(Request):
    """Lay a graph out.

    Attributes:
        labels: Of the graph's features; empty where there is none.
        layers: Of the open SAEs.
        grouped: Draw features of like labels as one node.
    """

    kind = "drawing"
    replaces = frozenset({"drawing"})

    graph: FeatureGraph
    labels: tuple[tuple[FeatureId, str], ...]
    layers: tuple[int, ...]
    grouped: bool = True


@dataclass(frozen=True)
class Node:
    """One box: a token, features of one meaning, or (with neither) the answer.

    Attributes:
        causes: The largest effect first.
        effect: Of the largest, nats.
    """

    text: str
    token: int | None
    causes: tuple[Cause, ...]
    effect: float


@dataclass(frozen=True, eq=False)
class Drawing:
    """A graph laid out.

    Attributes:
        x: [n] middle of each node.
        y: [n] downwards.
        rows: Layers that have nodes, and where.
    """

    graph: FeatureGraph
    nodes: tuple[Node, ...]
    x: Floats
    y: Floats
    source: Ints
    target: Ints
    carried: Floats
    rows: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        lock(self)


def draw_path(request: DrawPath) -> Drawing:
    """Group, place and prune."""
    graph, labels = request.graph, dict(request.labels)
    groups = _groups(graph.causes, labels if request.grouped else {})
    used = {cause.token for cause in graph.causes}
    tokens = [n for n in range(graph.n_tokens) if n in used or _reaches(graph, n)]
    nodes = [Node(graph.texts[n], n, (), float(graph.effects[n])) for n in tokens]
    nodes += [_node(graph, members, labels, request.layers) for members in groups]
    nodes.append(Node("", None, (), 0.0))
    box = np.full(len(graph.effects) + 1, -1)
    box[tokens] = range(len(tokens))
    for n, members in enumerate(groups):
        box[np.array(members) + graph.n_tokens] = len(tokens) + n
    box[-1] = len(nodes) - 1
    layers = [_layer(request, node) for node in nodes]
    used_layers = sorted(set(layers))
    y = np.array([-_ROW * used_layers.index(layer) for layer in layers], np.float32)
    x = _across(nodes, y)
    source, target, carried = _edges(graph, box, len(nodes))
    rows = {layer: float(at) for node, layer, at in zip(nodes, layers, y, strict=True)
            if node.causes}  # fmt: skip
    marks = tuple(sorted(rows.items()))
    return Drawing(graph, tuple(nodes), x, y, source, target, carried, marks)


def _reaches(graph: FeatureGraph, token: int) -> bool:
    """Whether a token without features matters by itself: more than the median feature does."""
    effects = np.abs(graph.effects)
    return bool(effects[token] > np.median(effects[graph.n_tokens :])) if graph.causes else True


def _groups(causes: Sequence[Cause], labels: Mapping[FeatureId, str]) -> list[list[int]]:
    """Numbers of the causes that are drawn as one, each group with the largest effect first."""
    groups: list[tuple[int, frozenset[str], list[int]]] = []
    for n in sorted(range(len(causes)), key=lambda n: -abs(causes[n].effect)):
        words = words_of(labels.get(causes[n].feature, ""))
        for token, shared, members in groups:
            same_sign = causes[members[0]].effect * causes[n].effect > 0
            if token == causes[n].token and same_sign and alike(words, shared):
                members.append(n)
                break
        else:
            groups.append((causes[n].token, words, [n]))
    return [members for _, _, members in groups]


def words_of(label: str) -> frozenset[str]:
    """What a label is about, as words."""
    found = frozenset(word.lower() for word in _WORD.findall(label))
    return found - _EMPTY


def alike(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether two labels mean about the same."""
    return bool(a and b) and len(a & b) / min(len(a), len(b)) >= _ALIKE


def _node(
    graph: FeatureGraph,
    members: Sequence[int],
    labels: Mapping[FeatureId, str],
    layers: Sequence[int],
) -> Node:
    causes = tuple(graph.causes[n] for n in members)
    first = causes[0].feature
    at = sorted({layers[cause.feature.sae] for cause in causes})
    where = str(at[0]) if len(at) == 1 else f"{at[0]}–{at[-1]}"
    text = f"{where} · {labels.get(first) or first.index}"
    return Node(text, causes[0].token, causes, float(graph.effects[graph.n_tokens + members[0]]))


def _layer(request: DrawPath, node: Node) -> int:
    """Where a node stands: tokens below the first layer, the answer above the last."""
    if node.causes:
        return round(np.mean([request.layers[cause.feature.sae] for cause in node.causes]))
    return -1 if node.token is not None else max(request.layers, default=0) + 1


def _across(nodes: Sequence[Node], y: Floats) -> Floats:
    """A column for each token, as wide as the most nodes that it has in one row."""
    x, left = np.zeros(len(nodes), np.float32), 0.0
    for token in sorted({node.token for node in nodes if node.token is not None}):
        rows: dict[float, list[int]] = {}
        for n, node in enumerate(nodes):
            if node.token == token:
                rows.setdefault(float(y[n]), []).append(n)
        width = max(map(len, rows.values())) * _LANE
        for row in rows.values():
            for place, n in enumerate(row):
                x[n] = left + (width - len(row) * _LANE) / 2 + (place + 0.5) * _LANE
        left += width + _GAP
    x[-1] = max(left - _GAP, _LANE) / 2
    return x


def _edges(graph: FeatureGraph, box: np.ndarray, n: int) -> tuple[Ints, Ints, Floats]:
    """Sums between boxes, the largest of them."""
    source, target = box[graph.source], box[graph.target]
    kept = (source >= 0) & (target >= 0) & (source != target)
    flat = source[kept].astype(np.int64) * n + target[kept]
    pairs, place = np.unique(flat, return_inverse=True)
    carried = np.bincount(place, graph.carried[kept], len(pairs))
    order = np.argsort(-np.abs(carried), kind="stable")[: _PER_NODE * n]
    reached = np.cumsum(np.abs(carried[order]))
    order = order[: int(np.searchsorted(reached, _CARRIED * np.abs(carried).sum())) + 1]
    pairs = pairs[order]
    return (
        (pairs // n).astype(np.int32),
        (pairs % n).astype(np.int32),
        carried[order].astype(np.float32),
    )
