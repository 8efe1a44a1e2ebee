"""The panels of the window. A new one is a file here and an entry in PANELS."""

from desktop_scope.gui.panels.audit import AuditPanel
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.panels.card import CardPanel
from desktop_scope.gui.panels.compare import ComparePanel
from desktop_scope.gui.panels.evidence import EvidencePanel
from desktop_scope.gui.panels.features import FeaturesPanel
from desktop_scope.gui.panels.flow import FlowPanel
from desktop_scope.gui.panels.layers import LayersPanel
from desktop_scope.gui.panels.library import LibraryPanel
from desktop_scope.gui.panels.map import MapPanel
from desktop_scope.gui.panels.prompt import PromptPanel
from desktop_scope.gui.panels.steering import SteeringPanel
from desktop_scope.gui.panels.tokens import TokensPanel
from desktop_scope.gui.panels.why import WhyPanel
from desktop_scope.gui.panels.zoom import ZoomPanel

PANELS: tuple[type[Panel], ...] = (
    PromptPanel,
    TokensPanel,
    LayersPanel,
    ZoomPanel,
    SteeringPanel,
    WhyPanel,
    FlowPanel,
    ComparePanel,
    AuditPanel,
    LibraryPanel,
    EvidencePanel,
    FeaturesPanel,
    MapPanel,
    CardPanel,
)
