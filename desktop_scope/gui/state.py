"""All that a person can see, as one frozen value that is replaced whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.cost_types import Damage
from desktop_scope.engine.feature_names import feature_name
from desktop_scope.engine.health import Health
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.sizes import shown_at
from desktop_scope.engine.types import (
    FeatureId,
    Generation,
    Intervention,
    LensRow,
    ModelInfo,
    Probe,
    Prompt,
    SaeInfo,
    Sampling,
    Trace,
)
from desktop_scope.evidence.requests import RankBy, Scope
from desktop_scope.evidence.types import Card, FeaturePath, Label, Opened, Ranking
from desktop_scope.gui.states.audit import AuditState
from desktop_scope.gui.states.chat import ChatState
from desktop_scope.gui.states.compare import CompareState
from desktop_scope.gui.states.dials import Dial
from desktop_scope.gui.states.discovery import DiscoveryState
from desktop_scope.gui.states.exporting import ExportState
from desktop_scope.gui.states.feature_flow import FlowState
from desktop_scope.gui.states.gathering import GatheringState
from desktop_scope.gui.states.grid import GridState
from desktop_scope.gui.states.laboratory import LabState
from desktop_scope.gui.states.map import MapState
from desktop_scope.gui.states.marks import MarksState
from desktop_scope.gui.states.recipes import RecipesState
from desktop_scope.gui.states.search import SearchState
from desktop_scope.gui.states.steering import SteeringState
from desktop_scope.gui.states.why import WhyState
from desktop_scope.gui.states.zoom import ZoomState
from desktop_scope.library.browsing import Listing
from desktop_scope.library.entries import Library, ModelEntry
from desktop_scope.library.folders import Shelf
from desktop_scope.library.room import Room


@dataclass(frozen=True)
class Selection:
    """What is looked at. One selection drives all panels."""

    token: int | None = None
    feature: FeatureId | None = None


@dataclass(frozen=True)
class Filters:
    """Which features are listed, and in which order."""

    scope: Scope = Scope.TEXT
    by: RankBy = RankBy.RARITY
    words: str = ""
    layers: tuple[int, int] = (0, 10_000)  # all
    max_density: float = 0.10
    min_score: float = 0.0  # of the label
    on_list: str = ""  # one of the user's, such as the stars; empty for all
    of_kind: str = ""  # what sort of label; empty for all


@dataclass(frozen=True)
class Browsing:
    """What is looked at in the library, and how it would be opened.

    Attributes:
        model: Whose SAEs are listed; None for the one that is open.
    """

    words: str = ""
    model: ModelEntry | None = None
    device: str = "auto"
    dtype: str = "auto"


@dataclass(frozen=True)
class Pin:
    """A feature kept at hand."""

    feature: FeatureId
    label: Label
    max_active: float


@dataclass(frozen=True)
class JobStatus:
    """A request under way.

    Attributes:
        awaited: It keeps the engine busy, and somebody waits for it.
    """

    ticket: int
    kind: str
    awaited: bool = False
    text: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Message:
    """A sentence for the message strip.

    Attributes:
        action: What a button says that opens ``workspace``; empty for no button.
    """

    text: str
    hint: str = ""
    details: str = ""
    is_error: bool = True
    action: str = ""
    workspace: Workspace | None = None


@dataclass(frozen=True)
class AppState:
    """Everything user-visible. Weights live in the engine, transient things in widgets."""

    # What the person set.
    workspace: Workspace | None = None  # which model, which SAEs
    last: Workspace | None = None  # which were open before
    attempt: int = 0  # a higher one loads again
    device: str = "auto"
    dtype: str = "auto"
    prompt: Prompt = field(default_factory=lambda: Prompt(""))
    history: tuple[Prompt, ...] = ()
    selection: Selection = field(default_factory=Selection)
    back: tuple[Selection, ...] = ()
    forward: tuple[Selection, ...] = ()
    filters: Filters = field(default_factory=Filters)
    show_template: bool = False
    show_steered: bool = False  # the tokens of the steered answer instead of the plain one
    pins: tuple[Pin, ...] = ()
    chat: ChatState = field(default_factory=ChatState)
    rack: tuple[Dial, ...] = ()
    steering: SteeringState = field(default_factory=SteeringState)
    recipes: RecipesState = field(default_factory=RecipesState)
    lab: LabState = field(default_factory=LabState)
    asked: bool = False  # the model is to answer the prompt
    sampling: Sampling = field(default_factory=Sampling)
    probe_text: str = ""
    unchecked: tuple[int, ...] = ()  # SAEs to be examined, by slot, in this order
    browsing: Browsing = field(default_factory=Browsing)
    looks: int = 0  # at the library; each scans it anew
    folders: tuple[Path, ...] = ()  # added to the library
    given: tuple[Path, ...] = ()  # dropped or chosen, to be identified
    gifts: int = 0  # how often something was
    gathering: GatheringState = field(default_factory=GatheringState)  # evidence, from text
    marks: MarksState = field(default_factory=MarksState)  # labels, notes, stars, lists
    search: SearchState = field(default_factory=SearchState)
    discovery: DiscoveryState = field(default_factory=DiscoveryState)  # strolls, levers
    compare: CompareState = field(default_factory=CompareState)
    flow: FlowState = field(default_factory=FlowState)  # between layers
    why: WhyState = field(default_factory=WhyState)
    audit: AuditState = field(default_factory=AuditState)
    map: MapState = field(default_factory=MapState)
    zoom: ZoomState = field(default_factory=ZoomState)
    export: ExportState = field(default_factory=ExportState)
    grid: GridState = field(default_factory=GridState)
    # What came back.
    shelf: Shelf = field(default_factory=Shelf)
    library: Library = field(default_factory=Library)
    library_version: int = 0
    listing: Listing = field(default_factory=Listing)
    room: Room | None = None
    model: ModelInfo | None = None
    saes: tuple[SaeInfo, ...] = ()
    opened: Opened | None = None
    health: tuple[Health, ...] = ()  # of the SAEs that were examined
    trace: Trace | None = None
    ranking: Ranking | None = None
    card: Card | None = None
    path: FeaturePath | None = None
    lens: tuple[LensRow, ...] = ()
    probe: Probe | None = None
    answer: Generation | None = None
    steered: Generation | None = None
    damage: Damage | None = None
    # What is going on.
    jobs: tuple[JobStatus, ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def revision(self) -> int:
        """Of what is known about the features; lookups are made again when it grows."""
        opened = self.opened.revision if self.opened is not None else 0
        return len(self.health) + self.marks.version + opened

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """What the rack does to the model."""
        return tuple(dial.intervention() for dial in self.rack if dial.acts)

    @cached_property  # it is asked for by every area, at every change
    def shown(self) -> tuple[int, ...]:
        """How many features of each SAE are looked at; nothing where it is all of them."""
        return shown_at(self.saes, self.zoom.size)

    @property
    def steered_prompt(self) -> Prompt:
        """What the steered model reads: the prompt, after what was said in its own column."""
        return replace(self.prompt, turns=self.chat.steered)

    @property
    def shown_prompt(self) -> Prompt:
        """The prompt of the answer whose tokens are shown."""
        return self.steered_prompt if self.show_steered and self.steered else self.prompt

    @property
    def shown_answer(self) -> Generation | None:
        """The answer whose tokens are shown."""
        return self.steered if self.show_steered and self.steered else self.answer

    @property
    def model_entry(self) -> ModelEntry | None:
        """The open model, as the library would list it."""
        if self.model is None or self.workspace is None:
            return None
        info = self.model
        return ModelEntry(
            id=info.id,
            path=self.workspace.model or Path(info.path),
            architecture=info.architecture,
            n_layers=info.n_layers,
            d_model=info.d_model,
            d_heads=0,
            bytes=info.bytes,
        )

    def health_of(self, slot: int) -> Health | None:
        """How an SAE fits, if that was examined."""
        return next((health for health in self.health if health.slot == slot), None)

    def full_strength(self, feature: FeatureId, max_active: float) -> float:
        """A feature's maximum; where it is unknown the strongest in the text, of it or its SAE."""
        if math.isfinite(max_active):
            return max_active
        if self.trace is None:
            return 1.0
        acts = self.trace.acts[feature.sae]
        own = float(acts.of(feature.index).max(initial=0.0))
        return own or float(acts.values.max(initial=0.0)) or 1.0

    def norm_of(self, slot: int) -> float:
        """The median length of what an SAE reads; nan if unknown."""
        health = self.health_of(slot)
        norms = self.opened.median_norm if self.opened is not None else ()
        known = norms[slot] if slot < len(norms) else math.nan
        return health.median_norm if math.isnan(known) and health is not None else known

    def name_of(self, feature: FeatureId) -> str:
        """``17/3988``; its plain number while its SAE is not open."""
        if feature.sae < len(self.saes):
            return feature_name(self.saes, feature)
        return f"{feature.sae}/{feature.index}"

    @property
    def settled(self) -> bool:
        """Whether nothing is under way but what the window does by itself for a long time."""
        return all(job.kind in ("gather", "meanings", "kin", "sizes") for job in self.jobs)

    def busy(self, *kinds: str) -> bool:
        """Whether a request of one of these kinds is under way."""
        return any(job.kind in kinds for job in self.jobs)


def shown_tokens(trace: Trace, show_template: bool) -> NDArray[np.intp]:
    """Which tokens of a trace are drawn: a chat's template is left out unless asked for."""
    every = np.arange(trace.n_tokens)
    if show_template or not trace.prompt.chat:
        return every
    return every[trace.own | (every >= trace.n_prompt)]
