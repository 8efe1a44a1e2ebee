"""What feeds the selected feature and what it feeds, as far as the window knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from desktop_scope.engine.flow_types import Flow, FlowCheck, FlowQuestion, Way
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.birth import Birth, FindBirth


@dataclass(frozen=True)
class BirthState:
    """At which layer a concept can be read for the first time.

    Attributes:
        own_texts: Texts stand for the concept instead of the selected feature.
        asked: What is to be found out.
        label: Of the feature that it was found out of.
    """

    own_texts: bool = False
    having: str = ""
    lacking: str = ""
    asked: FindBirth | None = None
    found: Birth | None = None
    label: Label | None = None


@dataclass(frozen=True)
class FlowState:
    """What is asked, and what came back.

    Attributes:
        question: What is followed; None while nobody looks, or while nothing flows.
        reach: Layers before and after.
        labels: Of the features that flow was found to.
        doubted: What is to be checked by really switching features off.
    """

    question: FlowQuestion | None = None
    reach: int = 1
    way: Way = Way.PROMPT
    flow: Flow | None = None
    labels: Mapping[FeatureId, Label] = field(default_factory=lambda: MappingProxyType({}))
    doubted: Flow | None = None
    check: FlowCheck | None = None
    birth: BirthState = field(default_factory=BirthState)

    @property
    def is_current(self) -> bool:
        """Whether what came back is about what is asked."""
        return self.flow is not None and self.flow.question == self.question

    @property
    def checked(self) -> FlowCheck | None:
        """The check of what is shown, if there was one."""
        return self.check if self.check is not None and self.check.flow is self.flow else None
