"""What the audit panel shows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.audit import Condition, Goal, Study, Where
from desktop_scope.experiments.audit_sources import Source, Template
from desktop_scope.experiments.audit_table import Aim
from desktop_scope.gui.states.shift import ConceptState, ShiftState


class Tool(StrEnum):
    """What the panel is used for."""

    BIAS = "bias"
    PROBE = "probe"
    CONCEPT = "concept"
    MEND = "mend"


class Step(StrEnum):
    """A page of the wizard."""

    CHOOSE = "choose"
    BIAS = "bias"
    FEATURES = "features"
    RESULT = "result"


@dataclass(frozen=True)
class AuditState:
    """One audit, as far as it went.

    Attributes:
        source: What the table is to be made of; None once it was.
        attempt: How often that was asked for.
        running: It goes on by itself until it reaches the study's goal.
        ticked: The features that are to be switched off.
    """

    tool: Tool = Tool.BIAS
    step: Step = Step.CHOOSE
    template: Template = field(default_factory=Template)
    source: Source | None = None
    aim: Aim = Aim.SPREAD
    attempt: int = 0
    study: Study | None = None
    running: bool = False
    ticked: tuple[FeatureId, ...] = ()
    where: Where = Where.EVERYWHERE
    factor: float = 0.0  # of what the features say; 0 is off
    shift: ShiftState = field(default_factory=ShiftState)
    concept: ConceptState = field(default_factory=ConceptState)

    def halted(self) -> AuditState:
        """What was measured stays."""
        shift = replace(self.shift, running=False, reading=False)
        concept = replace(self.concept, asked=False)
        return replace(self, running=False, source=None, shift=shift, concept=concept)

    def afresh(self) -> AuditState:
        """The same questions to another model."""
        concept = replace(self.concept, found=None, chosen=None)
        audit = replace(self, shift=ShiftState(), concept=concept)
        if self.study is None:
            return audit
        study, step = Study(self.study.table), Step.BIAS
        return replace(audit, study=study, step=step, ticked=(), running=True)

    @property
    def chosen(self) -> Condition:
        """What the ticks amount to."""
        return Condition(self.ticked, self.where, self.factor)

    @property
    def has_words(self) -> bool:
        """Whether features can be switched off at the filled-in words alone."""
        return self.study is not None and any(row.word for row in self.study.table.rows)

    def reached(self, step: Step) -> bool:
        """Whether a page has anything to show."""
        study = self.study
        if step is Step.CHOOSE or study is None:
            return step is Step.CHOOSE
        if step is Step.BIAS:
            return True
        return study.goal >= (Goal.RANKING if step is Step.FEATURES else Goal.EFFECT)
