"""The panels in docks: where they stand at first, and how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget
from shiboken6 import isValid

from desktop_scope.gui.panels import PANELS, Panel

_LEFT_SHARE = 0.6
_AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
}


class Docks:
    """One dock for each panel of a window.

    Attributes:
        panels: By id.
    """

    def __init__(self, window: QMainWindow, panels: Mapping[str, Panel]) -> None:
        self.panels = panels
        self._window = window
        self._in_sight: set[str] = set()
        window.setDockNestingEnabled(True)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        window.setDocumentMode(True)
        self._docks = {id_: QDockWidget(panel.title) for id_, panel in panels.items()}
        for id_, dock in self._docks.items():
            dock.setObjectName(id_)
            dock.setWidget(panels[id_])
            dock.visibilityChanged.connect(lambda _visible: self._changed())
            dock.topLevelChanged.connect(lambda _floating: self._retitle())

    def _changed(self) -> None:
        self._retitle()
        if isValid(self._window):
            # While they are laid out some are shown that then go behind others.
            QTimer.singleShot(0, self._window, self._look)

    def _look(self) -> None:
        """Tell the panels which came into sight, and which went."""
        for id_, panel in self.panels.items():
            seen = panel.isVisible() and not panel.visibleRegion().isEmpty()
            if seen != (id_ in self._in_sight):
                self._in_sight ^= {id_}
                panel.seen(seen)

    def arrange(self) -> None:
        """The original layout: reading and steering at the left, features at the right."""
        window = self._window
        for column, area in _AREAS.items():
            panels = [panel for panel in PANELS if panel.column == column]
            stacked = [panel for panel in panels if not panel.behind]
            docks = [self._docks[panel.id] for panel in stacked]
            window.addDockWidget(area, docks[0])
            for above, below in pairwise(docks):
                window.splitDockWidget(above, below, Qt.Orientation.Vertical)
            for panel in panels:
                if panel.behind:
                    window.tabifyDockWidget(self._docks[panel.behind], self._docks[panel.id])
                    self._docks[panel.behind].raise_()
            heights = [panel.height * window.height() // 100 for panel in stacked]
            window.resizeDocks(docks, heights, Qt.Orientation.Vertical)
        left = round(window.width() * _LEFT_SHARE)
        firsts = [self._docks["prompt"], self._docks["features"]]
        window.resizeDocks(firsts, [left, window.width() - left], Qt.Orientation.Horizontal)

    def focus(self, id_: str) -> None:
        """Show a panel and give it the keyboard."""
        self._docks[id_].show()
        self._docks[id_].raise_()
        self.panels[id_].focus_first()

    def focused(self) -> str:
        """The panel that has the keyboard; empty if none has."""
        holders = [
            id_
            for id_, panel in self.panels.items()
            if panel.hasFocus() or panel.isAncestorOf(self._window.focusWidget())
        ]
        return holders[0] if holders else ""

    def show_actions(self) -> list[QAction]:
        """One action for each panel, to show or hide it."""
        return [dock.toggleViewAction() for dock in self._docks.values()]

    def _retitle(self) -> None:
        """A tab names its dock already; a title below it would say the same again."""
        if not isValid(self._window):  # docks vanish one by one after their window
            return
        for dock in self._docks.values():
            tabbed = bool(self._window.tabifiedDockWidgets(dock)) and not dock.isFloating()
            if tabbed and dock.titleBarWidget() is None:
                dock.setTitleBarWidget(QWidget(dock))
            elif not tabbed and dock.titleBarWidget() is not None:
                dock.setTitleBarWidget(None)  # type: ignore[arg-type]
