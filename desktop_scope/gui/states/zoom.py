"""How finely the model is looked at, what that loses, and the family of what is selected."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.sizes import SiteLosses
from desktop_scope.engine.types import FeatureId, Trace
from desktop_scope.evidence.kinship.types import Family


@dataclass(frozen=True)
class ZoomState:
    """The size that is looked at, and what is known of all sizes.

    Attributes:
        size: Of the dictionaries; None for all that is open.
        came_from: The feature that was selected before zooming out led to one of its ancestors,
        stand_in: which is this one.
        family: Of the feature that was selected last; None before it is known.
        opened: Features of it whose own children are shown, too.
        measured: How often something new was learnt of a family.
        looked_at: Whether the losses are in sight.
        everywhere: Whether they are to be measured at all layers.
        text: Whose losses these are.
        losses: By site, in the order in which they were measured.
    """

    size: int | None = None
    came_from: FeatureId | None = None
    stand_in: FeatureId | None = None
    family: Family | None = None
    opened: frozenset[FeatureId] = frozenset()
    measured: int = 0
    looked_at: bool = False
    everywhere: bool = False
    text: Trace | None = None
    losses: tuple[SiteLosses, ...] = ()

    def meant(self, feature: FeatureId) -> FeatureId:
        """The feature that a selected one stands for; mostly itself."""
        stands = self.came_from is not None and feature == self.stand_in
        return self.came_from if stands and self.came_from is not None else feature

    def of_text(self, trace: Trace | None) -> tuple[SiteLosses, ...]:
        """What is known of a text."""
        return self.losses if trace is not None and trace is self.text else ()

    def of_site(self, slot: int) -> SiteLosses | None:
        """What is known of the site of an SAE."""
        return next((site for site in self.losses if slot in site.slots), None)
