"""A window without widgets: the state, the requests under way, and whatever comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from desktop_scope.engine.cost_types import Damage
from desktop_scope.engine.flow_types import CheckFlow, Edge, Flow, FlowCheck, FollowFlow, Side
from desktop_scope.engine.health import Health, Tried, Verdict
from desktop_scope.engine.lenses import FitLens, LensFit, LensGrid, ReadLensGrid
from desktop_scope.engine.questions import (
    Attribution,
    Cause,
    ExplainAnswer,
    Explanation,
    FollowPath,
    ListRunners,
    Runners,
    Verification,
    VerifyCauses,
)
from desktop_scope.engine.requests import (
    CheckSae,
    Generate,
    LoadModel,
    MeasureDamage,
    MeasureSizes,
    ProbeFeature,
    RecordTrace,
    Request,
    ScoreLevers,
    TracePrompt,
    Watch,
    Workspace,
)
from desktop_scope.engine.sizes import SiteLosses
from desktop_scope.engine.types import (
    FeatureActs,
    FeatureId,
    Generation,
    LensRow,
    Loaded,
    ModelInfo,
    SaeInfo,
    Trace,
)
from desktop_scope.engine.worker import Done, Event, silent_job
from desktop_scope.evidence.asking.requests import Asked, AskOpenModel, AskServer
from desktop_scope.evidence.cells import ReadCells, ReadErrors
from desktop_scope.evidence.gathering import (
    Gather,
    GatherCost,
    LeaveGathering,
    Standing,
    WeighText,
)
from desktop_scope.evidence.kinship.types import Family, MeasureKin, ReadFamily
from desktop_scope.evidence.mapping.types import (
    Drawing,
    DrawMap,
    FeatureMap,
    NameHovered,
    NameNearby,
    OpenMap,
)
from desktop_scope.evidence.marks.requests import (
    ExportMarks,
    ImportLabels,
    JudgeLabels,
    MarkFeatures,
)
from desktop_scope.evidence.marks.types import Judged, Marked
from desktop_scope.evidence.meaning.labels import Meanings
from desktop_scope.evidence.requests import (
    FollowFeature,
    FollowOther,
    LearnMeanings,
    NameCompared,
    NameFeatures,
    NameFlow,
    OpenCatalogue,
    RankFeatures,
    ReadCard,
    ReadExample,
    ReadInsight,
    ReadLens,
    ReadOther,
    Wander,
)
from desktop_scope.evidence.types import Insight, Label, Named, Opened, Ranking, Source
from desktop_scope.experiments.answer_types import ScoreAnswers
from desktop_scope.experiments.audit import (
    AttributeRow,
    Cost,
    Digest,
    DigestParts,
    MeasureCost,
    RowParts,
    ScoreRows,
    key_of,
)
from desktop_scope.experiments.audit_sources import MakeTable, make_table
from desktop_scope.experiments.birth import Birth, Curve, FindBirth
from desktop_scope.experiments.compare_types import (
    CloseBeside,
    CompareReadings,
    Comparison,
    Difference,
    MeasureSecond,
    OpenBeside,
)
from desktop_scope.experiments.contrast import Contrast, ContrastTexts
from desktop_scope.experiments.graph_layout import DrawPath
from desktop_scope.experiments.recipe_file import FORMAT, ModelMark, Recipe, RecipeDial
from desktop_scope.experiments.recipes import DeleteRecipe, Offer, Origin, ReadRecipes, SaveRecipe
from desktop_scope.experiments.requests import ReadTopics
from desktop_scope.experiments.types import TopicsRead
from desktop_scope.exports.types import Exported, ExportModel, ExportVector
from desktop_scope.gui import flow
from desktop_scope.gui.state import AppState
from desktop_scope.library.browsing import Browse, KeepShelf, Listing, LookAround
from desktop_scope.library.entries import Library
from desktop_scope.library.folders import Shelf
from desktop_scope.library.identifying import Identify

N_TEMPLATE = 2  # tokens before and after the user's own words, in a chat


def lens_grid(request: ReadLensGrid) -> LensGrid:
    """One layer of three at a time, going down."""
    first = (3 if request.above is None else request.above) - 1
    n = request.trace.n_tokens
    top, probs = np.full((1, n, 1), first, np.int32), np.ones((1, n, 1), np.float32)
    plain = np.full((1, n), first, np.float32)
    return LensGrid(
        request.trace, request.lens, request.word, first, {first: f"layer {first}"}, top, probs,
        plain, top[..., 0].copy(), plain.copy(),
    )  # fmt: skip


def small_trace(request: TracePrompt) -> Trace:
    """One token a word; a first token, and a template around a chat."""
    words = request.prompt.text.split()
    around = [f"<{i}>" for i in range(N_TEMPLATE)] if request.prompt.chat else []
    texts = ["<first>", *around, *words, *around, *map(str, request.answer)]
    own = [not text.startswith("<") for text in texts]
    n = len(texts)
    nothing = FeatureActs(np.zeros(n + 1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Trace(
        prompt=request.prompt,
        ids=np.arange(n, dtype=np.int32),
        texts=tuple(texts),
        masked=np.arange(n) == 0,
        own=np.array(own),
        n_prompt=n - len(request.answer),
        acts=(nothing, nothing),
        logprobs=np.zeros(n, np.float32),
        residual_norm=np.ones((2, n), np.float32),
        next_ids=np.zeros(1, np.int32),
        next_texts=("a",),
        next_probs=np.ones(1, np.float32),
        seconds=0.1,
        interventions=request.interventions,
    )


def _answers(request: Generate) -> tuple[Generation, ...]:
    return tuple(
        Generation(prompt, run, (5, 6), ("a", "b"), "ab", finished=True)
        for prompt, run in request.questions
    )


_INFO = ModelInfo(
    "model", str(Path("folder")), "Llama", 2, 8, 10, 100, "cpu", "float32", 1, False, True, 0.1
)
_TWO = tuple(np.ones((2, 8), np.float32))


def _sae_info(path: Path) -> SaeInfo:
    hook = "blocks.0.hook_resid_post"
    return SaeInfo("", path.name, "saelens", "standard", 0, hook, hook, 8, 8)


def _maxima(path: Path) -> np.ndarray:
    """Known of a pack alone."""
    return np.full(8, 1.0 if "pack" in path.name else np.nan, np.float32)


def explanation(request: ExplainAnswer) -> Explanation:
    """One feature on one token makes all the difference."""
    acts = FeatureActs(
        np.array([0, 0, 1], np.int32), np.array([3], np.int32), np.ones(1, np.float32)
    )
    nothing = np.zeros((1, 2), np.float32)
    found = Attribution(
        (1, 2), ("a", "b"), 2, (5,), (6,), (-1.0, -3.0), request.method, (0,), (acts,),
        (np.full(1, 2.0, np.float32),), nothing, nothing.copy(), (), 0.1,
    )  # fmt: skip
    return Explanation(request.question, found, (Cause(FeatureId(0, 3), 1, 1.0, 2.0),))


def health(slot: int, verdict: Verdict = Verdict.GREEN, best: Tried | None = None) -> Health:
    """What a check has shown."""
    hook = "blocks.0.hook_resid_post"
    seen = np.ones(8, np.float32)
    return Health(
        slot, hook, hook, 100, 5.0, 0.2, 0.9, verdict, "it fits so and so", (), best,
        seen, seen, seen, 3.0,
    )  # fmt: skip


def small_flow(request: FollowFlow) -> Flow:
    """One feature of the SAE before feeds the one in question; nothing comes after it."""
    edge = Edge(FeatureId(0, 3), 2.0, 1.0, 1.0, 1)
    sides = Side(0, 0, (edge,), 8), Side(None, 2, problem="There is no layer 2.")
    return Flow(request.question, 1, 1.0, ("a", "b"), *sides, seconds=0.1)


def small_birth(request: FindBirth) -> Birth:
    """Readable from the second of two layers on."""
    half, whole = np.array([0.5, 1.0], np.float32), np.ones(2, np.float32)
    curve = Curve(half, half, whole)
    return Birth(request, curve, curve, (FeatureId(0, 3), FeatureId(1, 2)), 1, (8, 8))


def small_comparison(request: CompareReadings) -> Comparison:
    """One feature that is there on the second side alone."""
    row = Difference(FeatureId(1, 2), 0.0, 1.0, (1, 1), 0.5, 0.5)
    one = np.ones(1, np.int32)
    layers = np.full((2, 2), 0.1, np.float32)
    return Comparison(
        request.a, request.b, request.by, (("a", "b"), ("a", "b")),
        np.array([[1, 1]], np.int32), (row,), one, one * 2, np.full(1, 0.5, np.float32),
        layers, layers[0].copy(), ("model, float32", "model, float32"), (), 0.1,
    )  # fmt: skip


OFFER = Offer(
    Recipe(FORMAT, "Dogs", ModelMark("model", 2, 8), (RecipeDial("dogs", 1.5, 20.0),)),
    Origin.PACK,
)


def _small_map() -> FeatureMap:
    """Two features of the first SAE."""
    points = np.array([[0.2, 0.2], [0.8, 0.8]], np.float32)
    nothing = np.full(2, np.nan, np.float32)
    return FeatureMap(points, np.zeros(2, np.int32), np.arange(2, dtype=np.int32), nothing, (), 2)


def _damage(request: Any) -> Damage:
    return Damage(request.interventions, 0.1, 0.1, 123)


_FITTED = LensFit(logit_kl=(2.0, 1.0, 0.0), tuned_kl=(1.0, 0.5, 0.0), n_fitted=9, n_held_out=3)
UNNAMED = Label("no label yet", Source.NONE, "low")

_RESULTS: dict[type[Request], Callable[[Any], Any]] = {
    LoadModel: lambda r: Loaded(_INFO, tuple(map(_sae_info, r.workspace.saes))),
    OpenCatalogue: lambda r: Opened(tuple(map(_maxima, r.workspace.saes)) or _TWO),
    TracePrompt: small_trace,
    Generate: _answers,
    Watch: lambda r: None,
    MeasureDamage: _damage,
    ReadTopics: lambda r: TopicsRead(min(r.done + 28, 56), 56),
    ProbeFeature: lambda r: SimpleNamespace(feature=r.feature, text=r.text),
    ReadCard: lambda r: SimpleNamespace(feature=r.feature, label=UNNAMED),
    ScoreAnswers: lambda r: replace(r.trial, answers=(*r.trial.answers, ())),
    OpenMap: lambda r: _small_map() if r.drawn else None,
    DrawMap: lambda r: Drawing(min(r.done + 5, 10), 10, None),
    NameHovered: lambda r: Named(r.feature, "0/0", UNNAMED),
    NameNearby: lambda r: tuple(Named(f, "0/0", UNNAMED) for f in r.around),
    ReadInsight: lambda r: Insight(r.feature, None, None),
    Wander: lambda r: FeatureId(0, r.turn % 8),
    ScoreLevers: lambda r: min(r.known + 4, 8),
    FollowFeature: lambda r: SimpleNamespace(feature=r.feature, trace=r.trace, family=()),
    ReadLens: lambda r: (LensRow(0, (f"{r.token} of {r.trace.prompt.text}",), (1.0,)),),
    ReadRecipes: lambda r: (OFFER,),
    SaveRecipe: lambda r: r.path or Path("own") / r.recipe.name,
    DeleteRecipe: lambda r: None,
    KeepShelf: lambda r: Shelf(),
    ExportVector: lambda r: Exported((r.path,), 1e-6, 9, 0.0, (), _damage(r)),
    ExportModel: lambda r: Exported(
        (r.path / "a", r.path / "b"), 1e-6, 9, 0.5, ("More.",), _damage(r)
    ),
    AskOpenModel: lambda r: Asked(r.feature, ()),
    AskServer: lambda r: Asked(r.feature, ()),
    ImportLabels: lambda r: Marked(0, 1, message="Imported 1."),
    ExportMarks: lambda r: Marked(0, 1, message="Wrote 1."),
    JudgeLabels: lambda r: Judged(r.step, r.step < 3, r.step, 3),
    MarkFeatures: lambda r: Marked(
        *(r.changes[-1].number if r.changes else 0,) * 2,
        labels=tuple((feature, Label(f"new {feature}", Source.OWN, "high")) for feature in r.shown),
    ),
    LookAround: lambda r: Library(),
    Browse: lambda r: Listing(),
    Gather: lambda r: Standing(tokens=9, share=1.0, done=True),
    WeighText: lambda r: GatherCost(r.plan, 9, 1.0, 100, ""),
    LeaveGathering: lambda r: r.keep,
    Identify: lambda r: Workspace(r.paths, Path("found")),
    CheckSae: lambda r: health(r.slot),
    MeasureSizes: lambda r: SiteLosses((r.slot,), 3, 2.0, 4.0, 5.0),
    ReadFamily: lambda r: Family(r.feature, (4, 8), ()),
    MeasureKin: lambda r: True,
    ListRunners: lambda r: Runners(r.prompt, r.before, (5, 6), (" a", " b"), (0.6, 0.3)),
    ExplainAnswer: explanation,
    VerifyCauses: lambda r: Verification(r.question, r.causes, np.ones(1, np.float32), 1.0),
    NameFeatures: lambda r: {},
    NameFlow: lambda r: dict.fromkeys(r.features, UNNAMED),
    NameCompared: lambda r: dict.fromkeys(r.features, UNNAMED),
    FollowFlow: small_flow,
    FindBirth: small_birth,
    CompareReadings: small_comparison,
    OpenBeside: lambda r: replace(_INFO, dtype=r.second.dtype),
    CloseBeside: lambda r: None,
    MeasureSecond: lambda r: SimpleNamespace(request=r, needed=1, available=2, fits=True),
    CheckFlow: lambda r: FlowCheck(r.flow, np.ones(1, np.float32), np.zeros(0, np.float32)),
    MakeTable: lambda r: make_table(r, silent_job()),
    ScoreRows: lambda r: np.log(np.tile([[0.4, 0.2]], (len(r.rows), 1))).astype(np.float32),
    AttributeRow: lambda r: RowParts(
        np.array([key_of(FeatureId(1, 2))]), np.ones(1, np.float32), np.ones(1, np.float32)
    ),
    DigestParts: lambda r: Digest(
        (), np.array([key_of(FeatureId(1, n)) for n in (2, 3)]), np.ones(2, np.float32)
    ),
    MeasureCost: lambda r: Cost(0.1, (2.0, 3.0), (1.0, 1.0), 9),
    FollowPath: lambda r: SimpleNamespace(question=r.question, causes=r.causes),
    DrawPath: lambda r: SimpleNamespace(graph=r.graph),
    RecordTrace: lambda r: "",
    ReadExample: small_trace,
    ReadOther: small_trace,
    FollowOther: lambda r: SimpleNamespace(feature=r.feature, trace=r.trace, family=()),
    ReadCells: lambda r: SimpleNamespace(trace=r.trace),
    ReadErrors: lambda r: SimpleNamespace(trace=r.trace),
    ReadLensGrid: lens_grid,
    FitLens: lambda r: LensFit("Reading text", r.done + 1, 3) if r.done < 2 else _FITTED,
    LearnMeanings: lambda r: Meanings(r.revision, True, min(r.done + 5, 12), 12),
    ContrastTexts: lambda r: Contrast((), (), len(r.a), len(r.b), 0, 0, None),
    RankFeatures: lambda r: Ranking((SimpleNamespace(feature=FeatureId(1, 2)),), 1),
}


class Desk:
    """Does what the window's store does, without threads: events come when the test says so."""

    def __init__(self, state: AppState) -> None:
        self.state = state
        self.requests: dict[int, Request] = {}  # by ticket, all that were ever submitted
        self.last_plan = flow.Plan()
        self.results: dict[int, Any] = {}

    def copy(self) -> Desk:
        """Goes on from here by itself."""
        other = Desk(self.state)
        other.requests, other.results = dict(self.requests), dict(self.results)
        return other

    def replace(self, state: AppState) -> None:
        self.last_plan = flow.plan(self.state, state)
        for request in self.last_plan.submit:
            ticket = len(self.requests) + 1
            self.requests[ticket] = request
            state = flow.started(state, ticket, request)
        self.state = state

    def act(self, action: Callable[..., AppState], *args: Any, **more: Any) -> None:
        self.replace(action(self.state, *args, **more))

    def deliver(self, event: Event) -> None:
        self.replace(flow.apply(self.state, event))

    def result_of(self, ticket: int) -> Any:
        if ticket not in self.results:
            request = self.requests[ticket]
            self.results[ticket] = _RESULTS[type(request)](request)
        return self.results[ticket]

    def finish(self, ticket: int) -> None:
        self.deliver(Done(ticket, self.requests[ticket], self.result_of(ticket)))

    def settle(self, until: str | None = None) -> None:
        """Let everything come back, up to a request of some kind."""
        for _ in range(100):
            waiting = [job.ticket for job in self.state.jobs if job.kind != until]
            if not waiting:
                return
            self.finish(waiting[0])
        raise AssertionError("requests without end")
