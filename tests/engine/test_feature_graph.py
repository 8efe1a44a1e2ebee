"""Edges between features: against steps of a small model, and against really switching off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_saes import weights
from tiny_models import D_MODEL, tiny

from desktop_scope.engine.attribution import attribute
from desktop_scope.engine.feature_graph import feature_graph
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.questions import Cause, FeatureGraph, Method, Question
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Intervention, Mode, Positions, Prompt
from desktop_scope.engine.worker import silent_job

A, B = 7, 9
QUESTION = Question(Prompt("The museum opens at nine", chat=False), (A,), (B,))
STEP = 2e-3


def small() -> tuple:
    model = tiny("llama")
    saes = [Sae(weights(n, d_in=D_MODEL, seed=n), torch.device("cpu")) for n in range(3)]
    fork = Fork.of(model, QUESTION)
    causes = attribute(model, saes, fork, silent_job()).causes(12)
    return model, saes, fork, feature_graph(model, saes, QUESTION, causes, silent_job())


def edge(graph: FeatureGraph, source: int, target: int) -> float:
    at = np.flatnonzero((graph.source == source) & (graph.target == target))
    return float(graph.carried[at].sum())


def test_the_edges_that_leave_a_node_sum_to_its_effect():
    _, _, fork, graph = small()
    leaving = np.bincount(graph.source, graph.carried, len(graph.effects))
    np.testing.assert_allclose(leaving, graph.effects, atol=1e-4)
    listed = {(c.feature, c.token): c.effect for c in graph.causes}
    for n, cause in enumerate(graph.causes):
        expected = listed[cause.feature, cause.token]
        assert graph.effects[fork_tokens(fork) + n] == pytest.approx(expected, abs=1e-4)
    assert (graph.target > graph.source).all()


def fork_tokens(fork: Fork) -> int:
    return len(fork.ids)


def test_an_edge_is_what_a_step_does_while_the_nodes_between_are_held():
    model, saes, fork, graph = small()
    n_tokens, causes = len(fork.ids), graph.causes
    ids = torch.tensor([fork.text])

    def run(step: float, at: Cause | int) -> tuple[np.ndarray, float]:
        """Features and m after a step, with every other node put back to what it was."""
        seen = np.zeros(len(causes))

        def edit_of(slot: int):
            def edit(x: torch.Tensor) -> torch.Tensor:
                x, here = x.clone(), [n for n, c in enumerate(causes) if c.feature.sae == slot]
                now = [saes[slot].activation(x[0, causes[n].token], causes[n].feature.index)
                       for n in here]  # fmt: skip
                for n, f in zip(here, now, strict=True):
                    seen[n] = float(f)
                    held = 0.0 if causes[n] == at else causes[n].activation - float(f)
                    if causes[n] == at:
                        held = step
                    row = saes[slot].decoder_row(causes[n].feature.index)
                    x[0, causes[n].token] += held * row
                return x

            return edit

        def embed(x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            if isinstance(at, int):
                x[0, at] *= 1 + step
            return x

        edits = {resid_post(s): edit_of(s) for s in range(3)}
        with torch.inference_mode():
            hidden = model.hidden(
                ids, {HookPoint(0, Site.RESID_PRE): embed, **edits}, use_cache=False
            )
            logits = model.logits(hidden[0, -1])
        return seen, float(logits[A] - logits[B])

    checked = 0
    for i in [2, n_tokens, n_tokens + 2]:
        at = i if i < n_tokens else causes[i - n_tokens]
        unit = 1.0 if isinstance(at, int) else at.activation
        (up, m_up), (down, m_down) = run(STEP, at), run(-STEP, at)
        slope = (up - down) / (2 * STEP) * unit
        for j, cause in enumerate(causes):
            carried = edge(graph, i, n_tokens + j)
            if abs(carried) > 0.02:
                by_step = slope[j] * cause.effect / cause.activation
                assert carried == pytest.approx(by_step, rel=0.05, abs=5e-3)
                checked += 1
        to_answer = (m_up - m_down) / (2 * STEP) * unit
        assert edge(graph, i, n_tokens + len(causes)) == pytest.approx(
            to_answer, rel=0.05, abs=0.01
        )
    assert checked >= 3


@pytest.mark.parametrize("method", [Method.GRADIENT, Method.RELP])
def test_what_leaves_a_feature_agrees_with_really_switching_it_off(engine, method):
    """On the real model: what becomes of later features once an early one is off."""
    prompt = Prompt("The midwife was tired after work because", chat=False)
    question = Question(prompt, " she", " he")
    found = attribute(engine.model, engine.saes, Fork.of(engine.model, question), silent_job())
    causes = [c for c in found.causes(40) if c.token == 3][:20]
    graph = feature_graph(engine.model, engine.saes, question, causes, silent_job(), method)
    n, causes = graph.n_tokens, graph.causes
    slope = np.array([c.effect / c.activation for c in causes])
    total = total_effects(graph, slope)
    plain = engine.trace(TracePrompt(prompt), silent_job())
    guessed, measured = [], []
    for i in range(4):
        where = Positions(tokens=(causes[i].token,))
        off = Intervention(causes[i].feature, mode=Mode.ABLATE, positions=where)
        there = engine.trace(TracePrompt(prompt, interventions=(off,)), silent_job())
        for j, cause in enumerate(causes):
            if cause.feature.sae > causes[i].feature.sae + 1:
                was, became = (
                    t.acts[cause.feature.sae].of(cause.feature.index)[cause.token]
                    for t in (plain, there)
                )
                guessed.append(total[i, j])
                measured.append(was - became)
    assert n == plain.n_tokens
    assert np.corrcoef(guessed, measured)[0, 1] > 0.8


def total_effects(graph: FeatureGraph, slope: np.ndarray) -> np.ndarray:
    """By how much each feature raises each later one, along all ways that the graph has."""
    n, size = graph.n_tokens, len(graph.causes)
    units = np.array([cause.activation for cause in graph.causes])
    direct = np.zeros((size, size))
    for source, target, carried in zip(graph.source, graph.target, graph.carried, strict=True):
        if source >= n and target < n + size:
            effect = graph.effects[target] / units[target - n]
            direct[source - n, target - n] = carried / units[source - n] / effect
    return (np.linalg.inv(np.eye(size) - direct) - np.eye(size)) * units[:, None]
