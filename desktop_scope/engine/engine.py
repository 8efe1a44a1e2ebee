"""The engine: one model and its SAEs; one method per request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine import generate as generation
from desktop_scope.engine import trace as tracing
from desktop_scope.engine.attribution import attribute
from desktop_scope.engine.cost_types import Damage, Passages
from desktop_scope.engine.damage import DamageMeter
from desktop_scope.engine.doctor import Doctor
from desktop_scope.engine.feature_flow import follow_flow
from desktop_scope.engine.feature_graph import feature_graph
from desktop_scope.engine.feature_names import infos_of
from desktop_scope.engine.fixed_steps import FixedSteps
from desktop_scope.engine.flow_checking import check_flow
from desktop_scope.engine.flow_types import CheckFlow, Flow, FlowCheck, FollowFlow
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.health import Health
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.layer_reading import read_layers
from desktop_scope.engine.lens import Lens
from desktop_scope.engine.lens_reading import Readable, read_column, read_grid
from desktop_scope.engine.lenses import LensGrid, LensKind, ReadLensGrid
from desktop_scope.engine.levers import LeverMeter, LeverScores
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.questions import (
    ExplainAnswer,
    Explanation,
    FeatureGraph,
    FollowPath,
    ListRunners,
    Runners,
    Verification,
    VerifyCauses,
)
from desktop_scope.engine.reading import TextReader
from desktop_scope.engine.recorded import Recordings
from desktop_scope.engine.requests import (
    CheckSae,
    Generate,
    MakeVector,
    MeasureDamage,
    MeasureSizes,
    ProbeFeature,
    RecordTrace,
    TracePrompt,
)
from desktop_scope.engine.sae import Sae, sae_of
from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.engine.size_losses import SizeMeter
from desktop_scope.engine.sizes import SiteLosses, ladder
from desktop_scope.engine.types import (
    FeatureId,
    Floats,
    Generation,
    LayerTexts,
    LensRow,
    Loaded,
    Probe,
    Prompt,
    TextActs,
    Trace,
    Vector,
)
from desktop_scope.engine.unexplained import unexplained, within
from desktop_scope.engine.vectors import make_vector
from desktop_scope.engine.verifying import list_runners, verify_causes
from desktop_scope.engine.watching import Watching
from desktop_scope.engine.worker import Job
from desktop_scope.errors import Cancelled, ScopeError


class Engine:
    """A loaded model with any number of SAEs that read it.

    The methods that take a Job run on one thread, one after another. ``lens`` and the decoders
    are only ever read, so lookups may use them from another thread.

    Args:
        model: The model.
        saes: SAEs that fit it (``check_fit``).

    Attributes:
        saes: In the order in which a forward pass reaches what they read.
        infos: What is to be said of each SAE.
        watching: Which features are read off answers while they are said.
        tuned: The tuned lens, once one was fitted or found.
        meter: Measures what interventions cost.
    """

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self.model = model
        self.saes = tuple(sorted(saes, key=_place))
        self.infos = infos_of([sae.weights for sae in self.saes])
        self.lens = Lens(model)
        self.watching = Watching()
        self._levers = LeverMeter(model, self.lens)
        self.meter = DamageMeter(model, self.saes)
        self._steps = FixedSteps(model, self.saes)
        self._recordings = Recordings(model, self.saes)
        self._reader = TextReader(model, self.saes)
        self.tuned: Readable | None = None  # the tuned lens, once there is one
        self._last: tuple[Trace, tracing.Activations] | None = None
        self._sizes = SizeMeter(model, self.saes)

    @property
    def loaded(self) -> Loaded:
        """What is open, for people."""
        return Loaded(self.model.info, self.infos)

    def trace(self, request: TracePrompt, job: Job) -> Trace:
        """Features of a text in every SAE."""
        recorded = self._recordings.encode
        self._last = tracing.trace(self.model, self.saes, request, job, recorded)
        return self._last[0]

    def record(self, request: RecordTrace, job: Job) -> str:
        """Make traces of one length fast; says why not, if they cannot be on this device."""
        job.check()
        return self._recordings.record(request.length)

    def example(self, request: TracePrompt, job: Job) -> Trace:
        """The same of a text beside the prompt, whose own trace stays the newest."""
        return tracing.trace(self.model, self.saes, request, job, self._recordings.encode)[0]

    def read(self, texts: Sequence[str], job: Job) -> TextActs:
        """What every feature does in each of many texts."""
        return self._reader.read(texts, job)

    def read_layers(self, texts: Sequence[str], last: bool, job: Job) -> LayerTexts:
        """What every layer makes of many texts: of their last tokens, or of all on average."""
        return read_layers(self.model, self.saes, texts, last, job)

    def generate(
        self,
        request: Generate,
        job: Job,
        known: Mapping[generation.Question, Generation] = MappingProxyType({}),
    ) -> tuple[Generation, ...]:
        """One answer per run, but for the runs whose answers are known."""
        return generation.generate(
            self.model, self.saes, request, job, known, self.watching, self._steps
        )

    def damage(self, request: MeasureDamage, job: Job, near: Sequence[Passages] = ()) -> Damage:
        """What interventions cost.

        Args:
            near: Texts that have to do with what is steered.
        """
        return self.meter.measure(request, job, near)

    def vector(self, request: MakeVector, job: Job) -> Vector:
        """The direction from one set of prompts to another."""
        return make_vector(self.model, request, job)

    def check(self, request: CheckSae, job: Job) -> Health:
        """How one SAE fits where it is attached."""
        return self._doctor.examine(request.slot, job)

    def fvu(self, slot: int, job: Job) -> float:
        """The variance that one SAE leaves unexplained on the built-in text."""
        return self._doctor.fvu(slot, job)

    def sizes(self, request: MeasureSizes, job: Job) -> SiteLosses:
        """What the dictionaries at one site lose of a text."""
        return self._sizes.measure(request.trace, ladder(self.infos, request.slot), job)

    @cached_property
    def _doctor(self) -> Doctor:
        return Doctor(self.model, self.saes)

    def explain(self, request: ExplainAnswer, job: Job) -> Explanation:
        """Why one answer rather than another."""
        fork = Fork.of(self.model, request.question)
        how = request.method, request.frozen_attention
        found = attribute(self.model, self.saes, fork, job, *how)
        return Explanation(request.question, found, tuple(found.causes(request.n_causes)))

    def runners(self, request: ListRunners, job: Job) -> Runners:
        """What the model might say next."""
        return list_runners(self.model, request, job)

    def path(self, request: FollowPath, job: Job) -> FeatureGraph:
        """How features feed each other."""
        how = request.method, request.frozen_attention
        return feature_graph(self.model, self.saes, request.question, request.causes, job, *how)

    def flow(self, request: FollowFlow, job: Job) -> Flow:
        """Which features feed a feature, and which it feeds."""
        return follow_flow(self.model, self.saes, request, job)

    def check_flow(self, request: CheckFlow, job: Job) -> FlowCheck:
        """Whether switching features off does what was said."""
        return check_flow(self.model, self.saes, request, job)

    def verify(self, request: VerifyCauses, job: Job) -> Verification:
        """Whether switching features off does what was said."""
        return verify_causes(self.model, self.saes, request.question, request.causes, job)

    def levers(
        self, slot: int, index: NDArray[np.int64], median_norm: float, job: Job
    ) -> LeverScores:
        """Whether some features of one SAE promote what they should."""
        return self._levers.measure(self.saes[slot], index, median_norm, job)

    def probe(self, request: ProbeFeature, job: Job) -> Probe:
        """One feature on raw text."""
        sae = sae_of(self.saes, request.feature)
        ids = self.model.encode(Prompt(request.text, chat=False)).ids
        values, masked = tracing.probe(self.model, self.saes, sae, request.feature.index, ids, job)
        texts = tuple(self.model.texts[i] for i in ids)
        return Probe(request.feature, request.text, texts, values, masked)

    def direction(self, feature: FeatureId) -> torch.Tensor | None:
        """What a feature does to the residual stream, [d_model] float32 on the CPU.

        The sum over the layers that a cross-layer transcoder adds to; the last layer of a
        crosscoder. None where it writes something that is not in the stream's own directions.
        """
        sae = sae_of(self.saes, feature)
        if sae.in_stream:
            return sae.decoder_row(feature.index)
        sites = {point.site for point in sae.weights.writes}
        rows = sae.decoder_row(feature.index).view(len(sae.weights.writes), -1)
        if sites <= {Site.MLP_OUT, Site.ATTN_OUT}:
            return rows.sum(0)
        return rows[-1] if sites <= {Site.RESID_PRE, Site.RESID_MID, Site.RESID_POST} else None

    def logit_lens(
        self, trace: Trace, token: int, kind: LensKind = LensKind.LOGIT
    ) -> tuple[LensRow, ...]:
        """What every layer would say next at one token.

        Raises:
            Cancelled: The trace is no longer the newest one.
        """
        return read_column(self.model, self._lens(kind), self._kept(trace).residual[:, token])

    def lens_grid(self, request: ReadLensGrid, job: Job) -> LensGrid:
        """What some layers would say next, at every token.

        Raises:
            Cancelled: The trace is no longer the newest one.
        """
        residual = self._kept(request.trace).residual
        return read_grid(self.model, self._lens(request.lens), residual, request, job)

    def unexplained(self, trace: Trace, shown: Sequence[int], job: Job) -> Floats:
        """How much of every token the features of every SAE leave unexplained, [S, T].

        Args:
            shown: Of each SAE only the first so many features; empty for all.

        Raises:
            Cancelled: The trace is no longer the newest one.
        """
        kept, acts = self._kept(trace), trace.acts
        if shown:
            acts = tuple(within(one, n) for one, n in zip(acts, shown, strict=True))
        return unexplained(self.saes, acts, trace.masked, kept, job)

    def _kept(self, trace: Trace) -> tracing.Activations:
        last = self._last  # read once: the engine's thread may replace it meanwhile
        if last is None or last[0] is not trace:
            raise Cancelled
        return last[1]

    def _lens(self, kind: LensKind) -> Readable:
        lens = self.lens if kind is LensKind.LOGIT else self.tuned
        if lens is None:
            raise Cancelled
        return lens


def _place(sae: Sae) -> tuple[HookPoint, HookPoint, int, str]:
    weights = sae.weights
    return weights.reads[0], weights.writes[0], weights.d_sae, weights.name


def check_fit(model: LanguageModel, weights: SaeWeights) -> None:
    """Whether a model has the hooks of an SAE, in the right width.

    Raises:
        ScopeError: It has not; says what does not fit.
    """
    info, parts = model.info, model.parts
    for points, width in ((weights.reads, weights.d_in), (weights.writes, weights.d_out)):
        deepest = max(point.layer for point in points)
        if deepest >= info.n_layers:
            raise ScopeError(
                f"{weights.name} is for layer {deepest}; {info.id} has the layers 0 to "
                f"{info.n_layers - 1}.",
                "Open it with the model that it was made for.",
            )
        for point in points:
            if point.site not in parts.sites():
                raise ScopeError(
                    f"{weights.name} needs {point}, a place that {info.architecture} does not have "
                    "or that Desktop Scope does not know.",
                    "Open it with the model that it was made for.",
                )
        there = sum(parts.width(point.site) for point in points)
        if there != width:
            raise ScopeError(
                f"{weights.name} works on {width} numbers at {points[0]}, where {info.id} has "
                f"{there}.",
                "Open it with the model that it was made for.",
            )
