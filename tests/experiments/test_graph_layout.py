"""A feature graph laid out: nothing overlaps, like labels become one node, sums are kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from desktop_scope.engine.questions import Cause, FeatureGraph, Question
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.experiments.graph_layout import (
    HEIGHT,
    WIDTH,
    DrawPath,
    alike,
    draw_path,
    words_of,
)

N_TOKENS, N_LAYERS = 4, 6
QUESTION = Question(Prompt("a b c d"), " e", " f")


def graph_of(places: list[tuple[int, int]], edges: list[tuple[int, int, float]]) -> FeatureGraph:
    """Features at (layer, token), and edges between node numbers."""
    causes = tuple(
        Cause(FeatureId(layer, n), token, 1.0, 1.0 + n) for n, (layer, token) in enumerate(places)
    )
    source, target, carried = zip(*edges, strict=True) if edges else ((), (), ())
    return FeatureGraph(
        QUESTION, N_TOKENS, tuple("abcd"), causes,
        np.array([0.5] * N_TOKENS + [c.effect for c in causes], np.float32),
        np.array(source, np.int32), np.array(target, np.int32), np.array(carried, np.float32),
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, N_LAYERS - 1), st.integers(0, N_TOKENS - 1)), max_size=40))
def test_no_two_nodes_overlap_and_layers_go_up(places):
    drawing = draw_path(DrawPath(graph_of(places, []), (), tuple(range(N_LAYERS))))
    assert sum(len(node.causes) for node in drawing.nodes) == len(places)
    away_x = np.abs(drawing.x[:, None] - drawing.x[None])
    away_y = np.abs(drawing.y[:, None] - drawing.y[None])
    overlap = (away_x < WIDTH) & (away_y < HEIGHT) & ~np.eye(len(drawing.x), dtype=bool)
    assert not overlap.any()
    answer = drawing.y[-1]
    for node, y in zip(drawing.nodes, drawing.y, strict=True):
        if node.causes:
            assert answer < y < max(drawing.y) + 1
            below = [
                other
                for n, other in zip(drawing.nodes, drawing.y, strict=True)
                if n.causes and n.causes[0].feature.sae < node.causes[0].feature.sae
            ]
            assert all(other > y for other in below)


def test_like_labels_at_one_token_become_one_node_with_all_its_edges():
    places = [(0, 1), (1, 1), (2, 1), (3, 2)]
    labels = ["pronouns (she, her)", "'she', 'her' and other female words", "dogs", "she, her"]
    answer = N_TOKENS + len(places)
    graph = graph_of(
        places,
        [(1, 4, 1.0), (1, 5, 2.0), (4, 5, 9.0), (4, 6, 0.5), (5, answer, 3.0), (7, answer, 4.0)],
    )
    named = tuple((c.feature, label) for c, label in zip(graph.causes, labels, strict=True))
    request = DrawPath(graph, named, tuple(range(N_LAYERS)))
    drawing = draw_path(request)
    groups = {tuple(sorted(c.feature.sae for c in node.causes)): n
              for n, node in enumerate(drawing.nodes) if node.causes}  # fmt: skip
    assert set(groups) == {(0, 1), (2,), (3,)}  # the same words at another token stay apart
    pair = groups[0, 1]
    assert drawing.nodes[pair].text.startswith("0–1")
    edges = {(s, t): c for s, t, c in zip(drawing.source, drawing.target, drawing.carried,
                                          strict=True)}  # fmt: skip
    token = next(n for n, node in enumerate(drawing.nodes) if node.token == 1 and not node.causes)
    assert edges[token, pair] == 3.0  # both edges together; the one within is gone
    assert (pair, pair) not in edges
    alone = draw_path(DrawPath(graph, named, request.layers, grouped=False))
    assert sum(bool(node.causes) for node in alone.nodes) == len(places)


def test_edges_that_carry_little_are_left_out():
    places = [(layer, 0) for layer in range(N_LAYERS)]
    weak = [(0, N_TOKENS + n, 0.01) for n in range(N_LAYERS)]
    strong = (N_TOKENS, N_TOKENS + 2, -5.0)
    drawing = draw_path(DrawPath(graph_of(places, [*weak, strong]), (), tuple(range(N_LAYERS))))
    assert drawing.carried.tolist() == [-5.0]


def test_labels_are_alike_by_their_own_words():
    assert alike(words_of("pronouns (she, her); mixed when weak"), words_of("'she', 'her'"))
    assert not alike(words_of("words starting with 'she-'"), words_of("words starting with 'a-'"))
    assert not alike(words_of(""), words_of(""))
