"""The path of an answer: which features feed which, from the prompt's tokens to the answer.

Nodes are the features with the largest effects, and the tokens as the embedding gives them. With
T[i, j] what one more unit of node i (its decoder row added to the stream) does to node j, by the
gradient of the same pass that the attribution used,

    T = D + D² + D³ + …,  so  D = 1 − (1 + T)⁻¹

D[i, j] is the direct effect: what i does to j while all other nodes between them are held at what
they are. An edge carries ``fᵢ · D[i, j] · gⱼ``, gⱼ being what one more unit of j does to the
difference m of the answers, all of it included. So the edges that leave a node sum to the node's
effect, and nothing is counted twice.

Nodes of one hook do not feed each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.ablating import padded
from desktop_scope.engine.attribution import Pass, following, gradients_of
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.questions import Cause, FeatureGraph, Method, Question
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.worker import Job

_EMBEDDED = HookPoint(0, Site.RESID_PRE)
_Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Node:
    """One feature at one token, or (without a cause) a token.

    Attributes:
        writes: Where it can be changed.
        row: What one unit of it writes there, side by side.
        unit: How many units it has.
    """

    token: int
    unit: float
    writes: tuple[HookPoint, ...]
    row: torch.Tensor
    cause: Cause | None = None


def feature_graph(
    model: LanguageModel,
    saes: Sequence[Sae],
    question: Question,
    causes: Sequence[Cause],
    job: Job,
    method: Method = Method.GRADIENT,
    frozen_attention: bool = True,
) -> FeatureGraph:
    """Edges between features, tokens and the answer.

    Args:
        causes: The features; integrated gradients have no edges, so they are drawn by gradients.

    Raises:
        ScopeError: The question makes no sense, or this model has no gradients.
        Cancelled: The job was.
    """
    fork = Fork.of(model, question)
    causes = sorted(causes, key=lambda c: (saes[c.feature.sae].weights.reads[0], c.token))
    used = [saes[cause.feature.sae].weights for cause in causes]
    points = sorted({_EMBEDDED, *(p for w in used for p in (*w.reads, *w.writes))})
    with gradients_of(model):
        job.progress(0, len(causes) + 1, "Reading the text")
        with following(model, method, frozen_attention):
            forward = Pass(model, padded(fork.rows, model.device), points, job)
        nodes = [
            *_tokens(fork, forward),
            *(_feature(saes, cause, forward, fork) for cause in causes),
        ]
        total = np.zeros((len(nodes), len(nodes)))
        for n, node in enumerate(nodes):
            if node.cause is not None:
                job.progress(n - len(fork.ids), len(causes) + 1, "Following the path")
                target = _activation(saes, node.cause, forward, fork)
                total[:, n] = _slopes(forward, fork, nodes, target, _reads(saes, node)[0])
        sides = fork.logprobs(model, forward.hidden)
        slopes = _slopes(forward, fork, nodes, sides[0] - sides[1], None)
    units = np.array([node.unit for node in nodes])
    direct = np.eye(len(nodes)) - np.linalg.inv(np.eye(len(nodes)) + total)
    to_answer = slopes - direct @ slopes
    carried = units[:, None] * np.column_stack([direct * slopes, to_answer])
    source, target_ = np.nonzero(carried)
    return FeatureGraph(
        question=question,
        n_tokens=len(fork.ids),
        texts=tuple(model.texts[i] for i in fork.ids),
        causes=tuple(causes),
        effects=(units * slopes).astype(np.float32),
        source=source.astype(np.int32),
        target=target_.astype(np.int32),
        carried=carried[source, target_].astype(np.float32),
    )


def _tokens(fork: Fork, forward: Pass) -> list[_Node]:
    embedded = fork.flat(forward.at[_EMBEDDED].detach()).float()
    return [_Node(n, 1.0, (_EMBEDDED,), row) for n, row in enumerate(embedded)]


def _feature(saes: Sequence[Sae], cause: Cause, forward: Pass, fork: Fork) -> _Node:
    sae = saes[cause.feature.sae]
    x = torch.cat([fork.flat(forward.at[p].detach()) for p in sae.weights.reads], -1)
    scale = sae.scale(x[cause.token]).reshape(-1)[0]
    row = sae.decoder_row(cause.feature.index).to(scale.device) * scale
    return _Node(cause.token, cause.activation, sae.weights.writes, row, cause)


def _reads(saes: Sequence[Sae], node: _Node) -> tuple[HookPoint, ...]:
    assert node.cause is not None
    return saes[node.cause.feature.sae].weights.reads


def _activation(saes: Sequence[Sae], cause: Cause, forward: Pass, fork: Fork) -> torch.Tensor:
    """A feature at its token, to be followed back."""
    row, position = fork.place(cause.token)
    sae = saes[cause.feature.sae]
    x = torch.cat([forward.at[p][row or 0, position] for p in sae.weights.reads], -1)
    return sae.activation(x[None], cause.feature.index)[0]


def _slopes(
    forward: Pass,
    fork: Fork,
    nodes: Sequence[_Node],
    target: torch.Tensor,
    before: HookPoint | None,
) -> _Doubles:
    """What one more unit of each node does to a number that is read at some hook."""
    able = [n for n, node in enumerate(nodes) if before is None or node.writes[-1] < before]
    slopes = np.zeros(len(nodes))
    points = sorted({point for n in able for point in nodes[n].writes})
    if not points or not target.requires_grad:
        return slopes
    found = forward.gradients(target, *points)
    at = {p: fork.summed(g).float() for p, g in zip(points, found, strict=True)}
    for n in able:
        node = nodes[n]
        g = torch.cat([at[point][node.token] for point in node.writes])
        slopes[n] = float(g @ node.row.to(g.device))
    return slopes
