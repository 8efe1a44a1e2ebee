"""Which features feed a feature, and which it feeds; ``flow_types`` has the equations.

Upstream a gradient of the drive is taken, once for all writers. Downstream there are as many
readers as features: the writer is turned up and down by a small step instead, and all of them are
read (a central difference), so that both sides are the same derivative.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.attribution import Pass, demand_memory, gradients_of, split
from desktop_scope.engine.feature_names import feature_name, infos_of
from desktop_scope.engine.flow_types import (
    Edge,
    Flow,
    FlowQuestion,
    FollowFlow,
    Side,
    Way,
)
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae, sae_of
from desktop_scope.engine.types import FeatureActs, FeatureId, Floats
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_STREAMS = (Site.RESID_PRE, Site.RESID_MID, Site.RESID_POST)
_STEP = 0.05  # of what the feature writes; larger steps leave the tangent, smaller ones drown
_STEP_OF_HALVES = 0.5
_Ints = NDArray[np.integer]


class FlowReader:
    """One text, its features, and the SAEs around a feature in question.

    Args:
        question: What is asked.

    Raises:
        ScopeError: There is no such feature or token, or nothing can be said of it.
    """

    def __init__(
        self, model: LanguageModel, saes: Sequence[Sae], question: FlowQuestion, job: Job
    ) -> None:
        self.model, self.saes, self.question, self.job = model, saes, question, job
        self.sae = sae_of(saes, question.feature)
        if question.reach < 1:
            raise ScopeError("Flow is followed over at least one layer.", "Choose a reach of 1.")
        self._infos = infos_of([sae.weights for sae in saes])
        self.before, self.after = (self._neighbour(sign) for sign in (-1, 1))
        if self.before is None and self.after is None:
            raise ScopeError(self._missing(-1), self._hint())
        self.ids = (*model.encode(question.prompt).ids, *question.answer)
        if len(self.ids) > model.info.context:
            raise ScopeError(
                "Prompt and answer are longer than the context.", "Shorten the prompt."
            )
        tokens = torch.tensor([self.ids], device=model.device)
        self.used = [sae for sae in (self.before, self.sae, self.after) if sae is not None]
        with torch.inference_mode():
            found = tracing.encode_ids(model, self.used, tokens, job)
        self.kept, self._acts = found.kept, found.acts
        self.own = self.acts_of(self.sae).of(question.feature.index)
        strongest = int(self.own.argmax()) or len(self.ids) - 1
        self.token = strongest if question.token is None else question.token
        if not 0 <= self.token < len(self.ids):
            raise ScopeError(
                f"There is no token {self.token} in this text.",
                f"Its tokens go from 0 to {len(self.ids) - 1}.",
            )
        if self.own[self.token] <= 0 and question.way is Way.PROMPT:
            raise ScopeError(
                f"{self.name} is silent {'there' if question.token is not None else 'here'}: "
                "nothing flows through it.",
                "Choose a token on which it fires, or follow it by weights.",
            )

    @property
    def name(self) -> str:
        """Of the feature in question."""
        return feature_name(self._infos, self.question.feature)

    def acts_of(self, sae: Sae) -> FeatureActs:
        """What its features do in the text."""
        return self._acts[next(n for n, one in enumerate(self.used) if one is sae)]

    def slot_of(self, sae: Sae) -> int:
        """Its place among those that are open."""
        return next(n for n, one in enumerate(self.saes) if one is sae)

    def _neighbour(self, sign: int) -> Sae | None:
        """The SAE of the same kind so many layers before or after."""
        own = self._infos[self.question.feature.sae]
        layer = own.layer + sign * self.question.reach
        return next(
            (
                sae
                for sae, info in zip(self.saes, self._infos, strict=True)
                if info.layer == layer and info.id == own.id and _can_follow(self.model, sae)
            ),
            None,
        )

    def _missing(self, sign: int) -> str:
        layer = self._infos[self.question.feature.sae].layer + sign * self.question.reach
        if 0 <= layer < self.model.info.n_layers:
            return f"No autoencoder of this kind is open at layer {layer}."
        return f"There is no layer {layer}."

    def _hint(self) -> str:
        return "Open the autoencoders of the layers around it, or choose another reach."

    # ---- both sides

    def follow(self, n_edges: int) -> Flow:
        """What feeds the feature, and what it feeds."""
        start = time.perf_counter()
        own, reach = self._infos[self.question.feature.sae].layer, self.question.reach
        upstream = Side(None, own - reach, problem=self._missing(-1))
        downstream = Side(None, own + reach, problem=self._missing(1))
        if self.before is not None:
            upstream = self._upstream(self.before, own - reach, n_edges)
        if self.after is not None:
            downstream = self._down(self.after, own + reach, n_edges)
        return Flow(
            self.question,
            self.token,
            float(self.own[self.token]),
            tuple(self.model.texts[i] for i in self.ids),
            upstream,
            downstream,
            time.perf_counter() - start,
        )

    def _upstream(self, sae: Sae, layer: int, n_edges: int) -> Side:
        if self.question.way is Way.PROMPT:
            return self._contributions(sae, layer, n_edges)
        return self._weighed(sae, layer, self._per_unit(sae, self.question.way), n_edges)

    def _per_unit(self, sae: Sae, way: Way) -> Floats:
        """What one unit of every feature before does to the drive at the token, [N]."""
        if way is Way.WEIGHTS:
            _demand_stream(sae, self.sae)
            row = self.sae.encoder_row(self.question.feature.index)
        else:
            gradients, _ = self._gradients(sae, way)
            here = self.kept.read_by(sae)[self.token]
            row = (gradients[self.token] * sae.scale(here)).cpu()
        weights: Floats = sae.decoder_dots(row).numpy()
        return weights

    def writers(self) -> _Ints:
        """The features of the SAE before that fire in the text."""
        assert self.before is not None
        return np.unique(self.acts_of(self.before).indices)

    def brought(self, way: Way) -> Floats:
        """What each of them brings, by a way: by weights what it has, times what a unit does."""
        assert self.before is not None
        acts, index = self.acts_of(self.before), self.writers()
        if way is Way.PROMPT:
            effects, *_ = self._split(self.before)
            place = np.searchsorted(index, acts.indices)
            return np.bincount(place, effects, len(index)).astype(np.float32)
        here, values = acts.at(self.token)
        units = np.zeros(len(index), np.float32)
        units[np.searchsorted(index, here)] = values
        return self._per_unit(self.before, way)[index] * units

    def _split(self, sae: Sae) -> tuple[Floats, Floats, Floats]:
        """Activation × slope of features, [nnz], and the same of error and bias, [T]."""
        gradients, written = self._gradients(sae, Way.PROMPT)
        with torch.inference_mode():
            return split(sae, self.acts_of(sae), self.kept.read_by(sae), written, gradients)

    def _gradients(self, sae: Sae, way: Way) -> tuple[torch.Tensor, torch.Tensor]:
        """∂h at the token by what an SAE before writes, and what that is: [T, d_out] each."""
        demand_memory(self.model, 1, len(self.ids))
        reads = self.sae.weights.reads
        points = sorted({*sae.weights.writes, *reads})
        held = self._attention(sae, self.sae) if way is Way.MLPS else []

        def change(point: HookPoint, x: torch.Tensor) -> torch.Tensor:
            return x.detach() if point in held else x

        ids = torch.tensor([self.ids], device=self.model.device)
        with torch.inference_mode(False), gradients_of(self.model):
            run = Pass(self.model, ids, [*points, *held], self.job, change)
            x = torch.cat([run.at[point][0, self.token] for point in reads], -1)
            drive = self.sae.drive(x[None], self.question.feature.index)[0]
            found = run.gradients(drive, *sae.weights.writes)
        written = [run.at[point].detach() for point in sae.weights.writes]
        gradient, y = (torch.cat([part[0] for part in parts], -1) for parts in (found, written))
        return gradient.float(), y

    def _contributions(self, sae: Sae, layer: int, n_edges: int) -> Side:
        """Activation × slope, summed over the tokens of each writer."""
        acts = self.acts_of(sae)
        effects, error, bias = self._split(sae)
        with torch.inference_mode():
            own = self.kept.read_by(self.sae)[self.token : self.token + 1]
            drive = float(self.sae.drive(own, self.question.feature.index)[0])
            drive -= self.sae.offset(self.question.feature.index)
        index, place = np.unique(acts.indices, return_inverse=True)
        value = np.bincount(place, effects, len(index))
        best = np.argsort(-np.abs(value), kind="stable")[:n_edges]
        others = float(value.sum() - value[best].sum())
        left = [others, float(error.sum()), float(bias.sum())]
        left.append(drive - float(value[best].sum()) - sum(left))
        whole = float(np.abs(value[best]).sum() + np.abs(left).sum())
        edges, rows = [], acts.rows()
        for n in best.tolist():
            here = np.flatnonzero(place == n)
            token = int(rows[here[np.abs(effects[here]).argmax()]])
            feature = FeatureId(self.slot_of(sae), int(index[n]))
            strength = float(acts.of(feature.index)[token])
            edges.append(Edge(feature, float(value[n]), float(value[n]) / whole, strength, token))
        others, error_share, bias_share, rest = (part / whole for part in left)
        return Side(
            self.slot_of(sae),
            layer,
            tuple(edges),
            len(index),
            others=others,
            error=error_share,
            bias=bias_share,
            rest=rest,
        )

    def _down(self, sae: Sae, layer: int, n_edges: int) -> Side:
        if self.question.way is Way.WEIGHTS:
            _demand_stream(self.sae, sae)
            row = self.sae.decoder_row(self.question.feature.index)
            return self._weighed(sae, layer, sae.encoder_dots(row).numpy(), n_edges)
        slopes, arrived = self._steps(sae)
        if self.question.way is Way.MLPS:
            return self._weighed(sae, layer, slopes[self.token].numpy(), n_edges)
        return self._arrivals(sae, layer, slopes, arrived, n_edges)

    def _steps(self, sae: Sae) -> tuple[torch.Tensor, torch.Tensor]:
        """What the feature does to every reader's drive [T, N], and to what is read [T, d_in].

        On the prompt all that it writes is turned up and down; through MLPs one unit at the token.
        """
        point = self.sae.weights.writes[0]
        pushed = self._pushed()
        scale = _STEP if self.model.W_U.dtype == torch.float32 else _STEP_OF_HALVES
        if self.question.way is Way.MLPS:
            scale *= float(self.kept.read_by(self.sae)[self.token].float().norm())
        held = self._attention(self.sae, sae) if self.question.way is Way.MLPS else []
        seen: dict[HookPoint, torch.Tensor] = {}

        def push(x: torch.Tensor) -> torch.Tensor:
            step = (scale * pushed).to(x.device, x.dtype)
            return torch.cat([x[:1] + step, x[1:] - step])

        def hold(x: torch.Tensor) -> torch.Tensor:
            return x.mean(0, keepdim=True).expand_as(x).contiguous()

        def keep(point: HookPoint) -> Edit:
            def edit(x: torch.Tensor) -> None:
                seen[point] = x.float().clone()

            return edit

        edits: dict[HookPoint, Edit] = {read: keep(read) for read in sae.weights.reads}
        edits |= dict.fromkeys(held, hold) | {point: push}
        ids = torch.tensor([self.ids, self.ids], device=self.model.device)
        with torch.inference_mode():
            edits = checked(edits, self.model.parts, self.job.check)
            self.model.hidden(ids, edits, use_cache=False)
            x = torch.cat([seen[read] for read in sae.weights.reads], -1)
            drives = [sae.drives(one.to(sae.device)) for one in x]
        return ((drives[0] - drives[1]) / (2 * scale)).cpu(), (x[0] - x[1]) / (2 * scale)

    def _pushed(self) -> torch.Tensor:
        """What the feature writes, [T, d_out]; of MLPs one unit at the token."""
        unit = self.sae.scale(self.kept.read_by(self.sae)).float()
        row = self.sae.decoder_row(self.question.feature.index).to(unit.device)
        amount = torch.from_numpy(self.own.copy()).to(unit.device)
        if self.question.way is Way.MLPS:
            amount = torch.zeros_like(amount)
            amount[self.token] = 1.0
        return amount[:, None] * unit * row

    def _arrivals(
        self, sae: Sae, layer: int, slopes: torch.Tensor, arrived: torch.Tensor, n_edges: int
    ) -> Side:
        """What active readers are given, and how much of what arrives they hand on."""
        acts = self.acts_of(sae)
        index, place = np.unique(acts.indices, return_inverse=True)
        rows = acts.rows()
        given = slopes.numpy()[rows, acts.indices]
        # How much of what arrives at a token each reader writes there again.
        back = (arrived.cpu() @ sae.decoder_rows(index).T).numpy()[rows, place]
        size = float(arrived.square().sum())
        share = np.bincount(place, given * back / size, len(index))
        value = np.array([_largest(given[place == n]) for n in range(len(index))])
        best = np.argsort(-np.abs(value), kind="stable")[:n_edges]
        edges = []
        for n in best.tolist():
            here = np.flatnonzero(place == n)
            at = int(here[np.abs(given[here]).argmax()])
            feature = FeatureId(self.slot_of(sae), int(index[n]))
            edges.append(
                Edge(
                    feature, float(value[n]), float(share[n]), float(acts.values[at]), int(rows[at])
                )
            )
        return Side(
            self.slot_of(sae),
            layer,
            tuple(edges),
            len(index),
            others=float(share.sum() - share[best].sum()),
            error=float(1 - share.sum()),
            bias=0.0,
            rest=0.0,
        )

    def _weighed(self, sae: Sae, layer: int, weight: Floats, n_edges: int) -> Side:
        """The largest of all features of an SAE, whether they fire here or not."""
        best = np.argsort(-np.abs(weight), kind="stable")[:n_edges]
        acts, whole = self.acts_of(sae), float(np.abs(weight).sum()) or 1.0
        edges = tuple(
            Edge(
                FeatureId(self.slot_of(sae), n),
                float(weight[n]),
                float(weight[n]) / whole,
                float(acts.of(n)[self.token]),
                self.token,
            )
            for n in best.tolist()
        )
        return Side(self.slot_of(sae), layer, edges, len(weight))

    def _attention(self, first: Sae, last: Sae) -> list[HookPoint]:
        """What attention adds to the stream between two SAEs."""
        low, high = first.weights.writes[-1], last.weights.reads[0]
        return [
            point
            for point in self.model.parts.taps
            if point.site is Site.ATTN_OUT and low < point < high
        ]


def follow_flow(model: LanguageModel, saes: Sequence[Sae], request: FollowFlow, job: Job) -> Flow:
    """What feeds a feature, and what it feeds.

    Raises:
        ScopeError: There is no such feature, no SAE beside it, or it is silent.
        Cancelled: The job was.
    """
    return FlowReader(model, saes, request.question, job).follow(request.n_edges)


def _largest(values: Floats) -> float:
    return float(values[np.abs(values).argmax()])


def _can_follow(model: LanguageModel, sae: Sae) -> bool:
    """Whether it writes to one place of the stream, or what is added to it."""
    return sae.in_stream and all(point in model.parts.taps for point in sae.weights.writes)


def _demand_stream(writer: Sae, reader: Sae) -> None:
    """Whether decoder and encoder rows are directions of the same thing.

    Raises:
        ScopeError: They are not.
    """
    if not writer.in_stream or {point.site for point in reader.weights.reads} - set(_STREAMS):
        raise ScopeError(
            "By weights alone flow can be followed only between autoencoders of the residual "
            "stream: others read it after a norm.",
            "Follow it on the prompt.",
        )
