"""The engine and the evidence together: what the window and the command line both run on."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from desktop_scope.engine.cost_types import Damage
from desktop_scope.engine.devices import import_torch
from desktop_scope.engine.flow_types import CheckFlow, FollowFlow
from desktop_scope.engine.health import Health
from desktop_scope.engine.lenses import FitLens, ReadLensGrid
from desktop_scope.engine.questions import ExplainAnswer, FollowPath, ListRunners, VerifyCauses
from desktop_scope.engine.requests import (
    CheckSae,
    Generate,
    LoadModel,
    MakeVector,
    MeasureDamage,
    MeasureSizes,
    ProbeFeature,
    ReadVector,
    RecordTrace,
    Request,
    ScoreLevers,
    TracePrompt,
    Watch,
    Workspace,
)
from desktop_scope.engine.types import Generation, Intervention, Loaded, ModelInfo, Prompt, Vector
from desktop_scope.engine.worker import Job
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.evidence.asking.requests import Asked, AskOpenModel, AskServer
from desktop_scope.evidence.cells import Errors, ReadCells, ReadErrors, read_cells
from desktop_scope.evidence.gathering import Gather, LeaveGathering, WeighText
from desktop_scope.evidence.kinship.types import MeasureKin, ReadFamily
from desktop_scope.evidence.mapping.types import DrawMap, NameHovered, NameNearby, OpenMap
from desktop_scope.evidence.marks.requests import (
    ExportMarks,
    ImportLabels,
    JudgeLabels,
    MarkFeatures,
)
from desktop_scope.evidence.marks.types import Judged, Marked
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
from desktop_scope.evidence.types import Opened
from desktop_scope.experiments.answer_types import AnswerScore, AnswerTrial, ScoreAnswers
from desktop_scope.experiments.audit import (
    AttributeRow,
    Digest,
    DigestParts,
    MeasureCost,
    ScoreRows,
)
from desktop_scope.experiments.audit_sources import MakeTable, make_table
from desktop_scope.experiments.birth import FindBirth, find_birth
from desktop_scope.experiments.compare_types import (
    CloseBeside,
    CompareReadings,
    Comparison,
    MeasureSecond,
    OpenBeside,
)
from desktop_scope.experiments.concept import LookForConcept, look
from desktop_scope.experiments.contrast import ContrastTexts, contrast_texts
from desktop_scope.experiments.flow_study import StudyFlow, study_flow
from desktop_scope.experiments.graph_layout import DrawPath, draw_path
from desktop_scope.experiments.recipe_file import is_recipe
from desktop_scope.experiments.recipes import (
    DeleteRecipe,
    Offer,
    ReadRecipes,
    SaveRecipe,
    delete_recipe,
    open_recipe,
    read_recipes,
    save_recipe,
)
from desktop_scope.experiments.requests import ReadTopics, RunControls, SweepStrengths, TestRule
from desktop_scope.experiments.shift import (
    DigestProbe,
    FollowProbe,
    JudgeProbes,
    PoolTexts,
    ReadShiftTable,
)
from desktop_scope.experiments.shift_texts import read_shift
from desktop_scope.experiments.types import RuleTest
from desktop_scope.exports.types import Export, Exported, ExportModel, ExportVector
from desktop_scope.library.browsing import (
    Browse,
    KeepShelf,
    LookAround,
    ReadMore,
    browse,
    keep_shelf,
    read_more,
)
from desktop_scope.library.identifying import Identify, identify
from desktop_scope.library.inventory import scan_library
from desktop_scope.library.room import MeasureRoom, measure_room

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.model import LanguageModel
    from desktop_scope.evidence.building.gatherer import Gatherer
    from desktop_scope.evidence.catalogue import Catalogue
    from desktop_scope.evidence.lens_fitting import LensFitter
    from desktop_scope.experiments.auditing import Auditor
    from desktop_scope.experiments.near import NearTexts
    from desktop_scope.experiments.studies import Studies

_T = TypeVar("_T")


class Workbench:
    """Carries out requests. Torch is imported when the first model is loaded.

    ``compute`` runs on one thread, ``lookup`` on another; a lookup only ever reads.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._held: tuple[LoadModel, LanguageModel] | None = None  # outlives a change of SAEs
        self._beside: LanguageModel | None = None  # a second model, for comparing
        self._catalogue: Catalogue | None = None
        self._made: dict[type, tuple[tuple[object, ...], Any]] = {}  # of what is open
        self._question: object = None
        self._answers: dict[tuple[Prompt, tuple[Intervention, ...]], Generation] = {}
        self._handlers: dict[type[Request], Callable[[Any, Job], Any]] = {
            LoadModel: self._load,
            TracePrompt: lambda request, job: self.engine.trace(request, job),
            RecordTrace: lambda request, job: self.engine.record(request, job),
            Generate: self._generate,
            MeasureDamage: self._damage,
            MakeVector: lambda request, job: self.engine.vector(request, job),
            ReadVector: lambda request, job: self._read_vector(request),
            SweepStrengths: lambda request, job: self._studies_now.sweep(request, job),
            RunControls: lambda request, job: self._studies_now.controls(request, job),
            TestRule: self._test_rule,
            ExportVector: self._export,
            ExportModel: self._export,
            ReadTopics: lambda request, job: self._near.read(request.done, job),
            ProbeFeature: lambda request, job: self.engine.probe(request, job),
            Watch: self._watch,
            CheckSae: self._check,
            MeasureSizes: lambda request, job: self.engine.sizes(request, job),
            ReadFamily: lambda request, job: self.catalogue.families.family(request),
            MeasureKin: lambda request, job: self.catalogue.families.measure(request, job),
            ExplainAnswer: lambda request, job: self.engine.explain(request, job),
            FollowFlow: lambda request, job: self.engine.flow(request, job),
            CheckFlow: lambda request, job: self.engine.check_flow(request, job),
            FindBirth: lambda request, job: find_birth(self.engine, self.catalogue, request, job),
            StudyFlow: lambda request, job: study_flow(self.engine, request, job),
            ContrastTexts: lambda request, job: contrast_texts(
                self.engine, request.a, request.b, job
            ),
            ListRunners: lambda request, job: self.engine.runners(request, job),
            FollowPath: lambda request, job: self.engine.path(request, job),
            DrawPath: lambda request, job: draw_path(request),
            VerifyCauses: lambda request, job: self.engine.verify(request, job),
            ScoreRows: lambda request, job: self.auditor.score_rows(request, job),
            AttributeRow: lambda request, job: self.auditor.attribute(request, job),
            MeasureCost: lambda request, job: self.auditor.cost(request, job),
            DigestParts: self._digest,
            MakeTable: make_table,
            ReadShiftTable: read_shift,
            PoolTexts: self._shift,
            FollowProbe: self._shift,
            DigestProbe: self._shift,
            JudgeProbes: self._shift,
            LookForConcept: lambda request, job: look(self.engine, self.catalogue, request, job),
            OpenCatalogue: self._open_catalogue,
            ReadCard: lambda request, job: self.catalogue.card(request.feature),
            ReadInsight: lambda request, job: self.catalogue.discovery.insight(request.feature),
            Wander: lambda request, job: self.catalogue.discovery.wander(request),
            ScoreLevers: lambda request, job: self.catalogue.discovery.score_levers(
                request.slot, job
            ),
            RankFeatures: lambda request, job: self.catalogue.rank(request, job.check),
            ReadExample: lambda request, job: self.engine.example(request, job),
            LearnMeanings: lambda request, job: self.catalogue.learn_meanings(request, job.check),
            **dict.fromkeys(
                (NameFeatures, NameFlow, NameCompared),
                lambda request, job: self.catalogue.names(request.features),
            ),
            ScoreAnswers: self._score_answers,
            OpenMap: lambda request, job: self.catalogue.atlas.open(job),
            DrawMap: lambda request, job: self.catalogue.atlas.draw(job),
            NameHovered: lambda request, job: self.catalogue.atlas.named([request.feature])[0],
            NameNearby: lambda request, job: tuple(
                self.catalogue.atlas.named(request.around, request.feature)
            ),
            FollowFeature: lambda request, job: self.catalogue.follow(request),
            MarkFeatures: self._marking("mark_features"),
            ImportLabels: self._marking("take_in"),
            ExportMarks: self._marking("write_out"),
            JudgeLabels: self._judge,
            Gather: lambda request, job: self._gatherer.gather(self.engine, request, job),
            WeighText: lambda request, job: self._gatherer.weigh(self.engine, request, job),
            LeaveGathering: lambda request, job: self._gatherer.leave(self.engine, request, job),
            AskOpenModel: self._ask,
            AskServer: self._ask,
            ReadLens: lambda request, job: self.engine.logit_lens(
                request.trace, request.token, request.lens
            ),
            ReadLensGrid: lambda request, job: self.engine.lens_grid(request, job),
            FitLens: lambda request, job: self._lens_fitter.step(job),
            ReadCells: lambda request, job: read_cells(self.catalogue, request),
            ReadOther: lambda request, job: self.engine.example(request, job),
            FollowOther: lambda request, job: self.catalogue.follow(request),
            ReadErrors: lambda request, job: Errors(
                request.trace,
                request.shown,
                self.engine.unexplained(request.trace, request.shown, job),
            ),
            ReadRecipes: lambda request, job: read_recipes(
                request, self.catalogue, self.engine.loaded
            ),
            SaveRecipe: lambda request, job: save_recipe(request),
            DeleteRecipe: lambda request, job: delete_recipe(request),
            LookAround: scan_library,
            ReadMore: read_more,
            KeepShelf: keep_shelf,
            Browse: browse,
            Identify: self._identify,
            **dict.fromkeys((MeasureRoom, MeasureSecond), measure_room),
            CompareReadings: self._compare,
            OpenBeside: self._open_beside,
            CloseBeside: lambda request, job: self._close_beside(),
        }

    def handle(self, request: Request, job: Job) -> Any:
        """Carry out one request; what it returns depends on its type."""
        return self._handlers[type(request)](request, job)

    @property
    def engine(self) -> Engine:
        """The loaded engine; a request that comes too early is dropped."""
        if self._engine is None:
            raise Cancelled
        return self._engine

    @cached_property
    def _gatherer(self) -> Gatherer:
        from desktop_scope.evidence.building.gatherer import Gatherer

        return Gatherer()

    @property
    def catalogue(self) -> Catalogue:
        """The opened catalogue; a request that comes too early is dropped."""
        if self._catalogue is None:
            raise Cancelled
        return self._catalogue

    @property
    def auditor(self) -> Auditor:
        """Runs audits on the loaded engine."""
        from desktop_scope.experiments.auditing import Auditor

        return Auditor(self.engine, self.catalogue)

    @property
    def _lens_fitter(self) -> LensFitter:
        """Fits the tuned lens of what is open."""
        from desktop_scope.evidence.lens_fitting import LensFitter

        return self._made_of(LensFitter, self.engine)

    def _shift(self, request: Request, job: Job) -> Any:
        from desktop_scope.experiments.shifting import carry_out

        return carry_out(request, self.engine, self.catalogue, job)

    def _digest(self, request: DigestParts, job: Job) -> Digest:
        from desktop_scope.experiments.audit_digest import digest

        return digest(request.study, self.catalogue)

    def _load(self, request: LoadModel, job: Job) -> Loaded:
        job.progress(0, 0, "Starting the engine")
        import_torch()
        from desktop_scope.library.opening import open_engine, same_model

        self._let_go()
        if self._held is not None and not same_model(self._held[0], request):
            self._held = None  # two models may not fit side by side
        gc.collect()  # or else what was open stays in memory until some time later
        self._engine = open_engine(request, job, self._held and self._held[1])
        self._held = (request, self._engine.model)
        return self._engine.loaded

    def _let_go(self) -> None:
        """Drop all that holds on to the engine."""
        self._engine = self._catalogue = self._question = self._beside = None
        self._made, self._answers = {}, {}
        if "_gatherer" in vars(self):
            self._gatherer.close()

    def _compare(self, request: CompareReadings, job: Job) -> Comparison:
        from desktop_scope.experiments.comparing import compare

        return compare(self.engine, self._beside, self._catalogue, request, job)

    def _open_beside(self, request: OpenBeside, job: Job) -> ModelInfo:
        from desktop_scope.library.opening import open_beside

        self._close_beside()  # three models may not fit side by side
        assert self._held is not None
        first, second = self._held[0], request.second
        workspace = first.workspace if second.path is None else Workspace((), second.path)
        wanted = replace(first, workspace=workspace, device=second.device, dtype=second.dtype)
        self._beside = open_beside(wanted, self.engine, job)
        return self._beside.info

    def _close_beside(self) -> None:
        self._beside = None
        gc.collect()

    def _generate(self, request: Generate, job: Job) -> tuple[Generation, ...]:
        """Answers given before are not computed again: the plain one stands while a dial turns."""
        question = (self.engine, request.prompt, request.sampling)
        if question != self._question:
            self._question, self._answers = question, {}
        answers = self.engine.generate(request, job, self._answers)
        self._answers |= zip(request.questions, answers, strict=True)
        return answers

    def _identify(self, request: Identify, job: Job) -> Workspace | Offer:
        """A recipe, or else what to open."""
        if len(request.paths) == 1 and is_recipe(request.paths[0]):
            if self._catalogue is None:
                raise ScopeError(
                    f"{request.paths[0].name} is a recipe, and nothing is open yet.",
                    "Open the model and the autoencoders that it was made for, then the recipe.",
                )
            return open_recipe(request.paths[0], self.catalogue, self.engine.loaded)
        return identify(request, job)

    def _watch(self, request: Watch, job: Job) -> None:
        self.engine.watching.features = request.features

    def _damage(self, request: MeasureDamage, job: Job) -> Damage:
        """The evidence knows texts that are near to what is steered."""
        known = request.near and self._catalogue is not None
        near = self._near.passages(request.interventions, job) if known else ()
        return self.engine.damage(request, job, near)

    @property
    def _near(self) -> NearTexts:
        """Texts near to features of what is open."""
        from desktop_scope.experiments.near import NearTexts

        return self._made_of(NearTexts, self.engine, self.catalogue)

    @property
    def _studies_now(self) -> Studies:
        """The studies of what is open."""
        from desktop_scope.experiments.studies import Studies

        return self._made_of(Studies, self.engine, self._catalogue)

    def _made_of(self, kind: type[_T], *opened: object) -> _T:
        """The one thing of a kind that was made of what is open."""
        known = self._made.get(kind)
        if known is None or known[0] != opened:
            known = self._made[kind] = opened, kind(*opened)
        found: _T = known[1]
        return found

    def _test_rule(self, request: TestRule, job: Job) -> RuleTest:
        from desktop_scope.experiments.rule_test import try_rule

        return try_rule(self.engine, request, job)

    def _export(self, request: Export, job: Job) -> Exported:
        from desktop_scope.exports.control_vector import export_vector
        from desktop_scope.exports.edited_model import export_model

        write = export_vector if isinstance(request, ExportVector) else export_model
        return write(self.engine, request, job)

    def _read_vector(self, request: ReadVector) -> tuple[Vector, ...]:
        from desktop_scope.library.vector_file import read_vectors

        return read_vectors(request, self.engine.model.info)

    def _check(self, request: CheckSae, job: Job) -> Health:
        """What the text shows of an SAE's features is kept as their first evidence."""
        from desktop_scope.evidence.known import SampleEvidence

        health = self.engine.check(request, job)
        if self._catalogue is not None:
            self._catalogue.learn(request.slot, SampleEvidence.of(health))
        return health

    def _marking(self, name: str) -> Callable[[Any, Job], Marked]:
        def handle(request: Request, job: Job) -> Marked:
            from desktop_scope.evidence.marks import marking

            marked: Marked = getattr(marking, name)(self.catalogue, request)
            return marked

        return handle

    def _ask(self, request: AskOpenModel | AskServer, job: Job) -> Asked:
        from desktop_scope.evidence.asking.answering import answer

        return answer(self.catalogue, request, job)

    def _judge(self, request: JudgeLabels, job: Job) -> Judged:
        from desktop_scope.evidence.marks.marking import judge_labels

        return judge_labels(self.catalogue, request, job)

    def _score_answers(self, request: ScoreAnswers, job: Job) -> AnswerTrial | AnswerScore:
        from desktop_scope.experiments.answer_score import score_answers

        return score_answers(self.engine, self.catalogue, request, job)

    def _open_catalogue(self, request: OpenCatalogue, job: Job) -> Opened:
        from desktop_scope.evidence.building.gatherer import interrupted, lacks_sample
        from desktop_scope.evidence.catalogue import Catalogue

        catalogue = Catalogue.open(request.workspace, self.engine, job)
        job.check()  # another model may be on its way, for which the engine was let go
        self._catalogue = catalogue
        return replace(
            catalogue.opened(),
            lacks_sample=lacks_sample(self.engine),
            interrupted=interrupted(self.engine),
            revision=request.revision,
        )
