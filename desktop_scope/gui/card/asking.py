"""Whom to ask about a label: the open model, or a server on this machine."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QLineEdit, QMenu, QWidget, QWidgetAction

from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import marks_actions

_LIMITS = (
    "Nothing is asked unless you choose it here. Only a server at this machine’s own address\n"
    "(127.0.0.1) is ever connected to: no other host, no redirect, no proxy.\n"
    "Small models are bad at it: what the demo model says of features is of no use."
)


class AskMenu(QMenu):
    """What can be asked of whom.

    Args:
        act: Carries out an action on the state: ``Store.act``.
        server: The address that was named before.
    """

    def __init__(
        self, parent: QWidget, act: Callable[..., None], feature: FeatureId, server: str
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setToolTipsVisible(True)
        self._act, self._feature = act, feature
        self._add("The open model", "")
        if server:
            self._add(server, server)
        self.addSeparator()
        self._line = QLineEdit(server, placeholderText="Server here: http://127.0.0.1:8080")
        self._line.setAccessibleName("A server on this machine that may be asked")
        self._line.setToolTip(_LIMITS)
        self._line.setMinimumWidth(280)
        self._line.returnPressed.connect(self._named)
        action = QWidgetAction(self)
        action.setDefaultWidget(self._line)
        self.addAction(action)

    def _add(self, name: str, server: str) -> None:
        for judge, what in ((False, "write a label"), (True, "judge this label")):
            action = self.addAction(f"{name}: {what}".replace("&", "&&"))
            action.setToolTip(_LIMITS)
            action.triggered.connect(
                lambda _=False, judge=judge: self._act(
                    marks_actions.ask, self._feature, judge, server
                )
            )

    @Slot()
    def _named(self) -> None:
        self._act(marks_actions.name_server, self._line.text())
        if self._line.text().strip():
            self._act(marks_actions.ask, self._feature, False, self._line.text().strip())
        self.close()
