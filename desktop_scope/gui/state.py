"""All that a person can see, as one frozen value that is replaced whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.feature_names import feature_name
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import (
    Damage,
    FeatureId,
    Generation,
    Intervention,
    LensRow,
    Mode,
    ModelInfo,
    Probe,
    Prompt,
    SaeInfo,
    Sampling,
    Trace,
)
from desktop_scope.evidence.requests import RankBy, Scope
from desktop_scope.evidence.types import Card, FeaturePath, Label, Opened, Ranking


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
    n_features: int = 1_000_000_000  # a Matryoshka prefix; all by default


@dataclass(frozen=True)
class Pin:
    """A feature kept at hand."""

    feature: FeatureId
    label: Label
    max_active: float


@dataclass(frozen=True)
class Dial:
    """One feature in the steering rack.

    Attributes:
        strength: In multiples of the feature's own maximum.
        off: Switched off (ablated) instead of turned.
        enabled: Takes part.
    """

    feature: FeatureId
    label: Label
    max_active: float
    strength: float = 1.0
    off: bool = False
    enabled: bool = True

    def intervention(self) -> Intervention:
        """What the engine is to do."""
        if self.off:
            return Intervention(self.feature, mode=Mode.ABLATE)
        return Intervention(self.feature, self.strength * self.max_active)

    @property
    def acts(self) -> bool:
        """Whether it changes anything."""
        return self.enabled and (self.off or self.strength != 0)


@dataclass(frozen=True)
class JobStatus:
    """A request under way."""

    ticket: int
    kind: str
    text: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Message:
    """A sentence for the message strip."""

    text: str
    hint: str = ""
    details: str = ""
    is_error: bool = True


@dataclass(frozen=True)
class AppState:
    """Everything user-visible. Weights live in the engine, transient things in widgets."""

    # What the person set.
    workspace: Workspace | None = None  # which model, which SAEs
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
    rack: tuple[Dial, ...] = ()
    asked: bool = False  # the model is to answer the prompt
    sampling: Sampling = field(default_factory=Sampling)
    probe_text: str = ""
    # What came back.
    model: ModelInfo | None = None
    saes: tuple[SaeInfo, ...] = ()
    opened: Opened | None = None
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
    def interventions(self) -> tuple[Intervention, ...]:
        """What the rack does to the model."""
        return tuple(dial.intervention() for dial in self.rack if dial.acts)

    @property
    def shown_answer(self) -> Generation | None:
        """The answer whose tokens are shown."""
        return self.steered if self.show_steered and self.steered else self.answer

    def name_of(self, feature: FeatureId) -> str:
        """``17/3988``; its plain number while its SAE is not open."""
        if feature.sae < len(self.saes):
            return feature_name(self.saes, feature)
        return f"{feature.sae}/{feature.index}"

    def busy(self, *kinds: str) -> bool:
        """Whether a request of one of these kinds is under way."""
        return any(job.kind in kinds for job in self.jobs)


def shown_tokens(trace: Trace, show_template: bool) -> NDArray[np.intp]:
    """Which tokens of a trace are drawn: a chat's template is left out unless asked for."""
    every = np.arange(trace.n_tokens)
    if show_template or not trace.prompt.chat:
        return every
    return every[trace.own | (every >= trace.n_prompt)]
