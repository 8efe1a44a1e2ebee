"""Errors and news in the window, never in its way."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import muted

Kind = Literal["error", "news"]
MOST = 3


class Message(QWidget):
    """One message: what is wrong, what to do, and the details on request.

    Signals:
        dismissed: The user closed it.
        acted: The user pressed its button.
    """

    dismissed = Signal()
    acted = Signal()

    def __init__(
        self,
        message: str,
        hint: str = "",
        details: str = "",
        kind: Kind = "error",
        action: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.message, self.hint, self.details, self.kind = message, hint, details, kind
        self.action = QPushButton(action)
        self.action.setVisible(bool(action))
        self.action.clicked.connect(self._act)
        self.setAccessibleName(f"{message} {hint}".strip())
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        says = QLabel(message)
        says.setWordWrap(True)
        says.setFont(theme.strong(QFont()))
        says.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._details = QPlainTextEdit(details)
        self._details.setReadOnly(True)
        self._details.setFont(theme.mono_font(theme.small(self.font()).pixelSize()))
        self._details.setAccessibleName(self.tr("Details"))
        self._details.setFixedHeight(120)
        self._details.hide()
        self._more = self._button(self.tr("Details"), self.tr("Show the technical details"))
        self._more.setCheckable(True)
        self._more.setVisible(bool(details))
        copy = self._button(self.tr("Copy"), self.tr("Copy this message with its details"))
        close = self._button("✕", self.tr("Dismiss"))
        close.setAccessibleName(self.tr("Dismiss"))
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(says)
        if hint:
            below = muted(QLabel(hint))
            below.setWordWrap(True)
            words.addWidget(below)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addLayout(words, 1)
        for button in (self.action, self._more, copy, close):
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 8, 8)
        column.setSpacing(8)
        column.addLayout(row)
        column.addWidget(self._details)
        self._more.toggled.connect(self._show_details)
        copy.clicked.connect(self.copy)
        close.clicked.connect(self._dismiss)

    def text(self) -> str:
        """All of it, as it is copied."""
        return "\n\n".join(
            part for part in (f"{self.message} {self.hint}".strip(), self.details) if part
        )

    def _button(self, text: str, help_: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(help_)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return button

    @Slot()
    def copy(self) -> None:
        """Put the message on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    @Slot(bool)
    def _show_details(self, shown: bool) -> None:
        self._details.setVisible(shown)

    @Slot()
    def _act(self) -> None:
        self.acted.emit()

    @Slot()
    def _dismiss(self) -> None:
        self.dismissed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        t = theme.tokens()
        mark = t.danger if self.kind == "error" else t.muted
        wash = QColor(mark)
        wash.setAlpha(18)
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), t.surface)
            painter.fillRect(self.rect(), wash)
            painter.fillRect(0, 0, 3, self.height(), mark)
            painter.fillRect(0, self.height() - 1, self.width(), 1, t.line)


class MessageStrip(QWidget):
    """A stack of at most three messages; hidden while there are none.

    Signals:
        emptied: The last message went.
        message_dismissed: The user closed the one with this text and hint.
        message_acted: The user pressed the button of the one with this text and hint.
    """

    emptied = Signal()
    message_dismissed = Signal(str, str)
    message_acted = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.setAccessibleName(self.tr("Messages"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.hide()

    def show_message(
        self,
        message: str,
        hint: str = "",
        details: str = "",
        kind: Kind = "error",
        action: str = "",
    ) -> None:
        """Add a message; one that is shown already moves to the end instead of repeating."""
        for old in self.messages():
            if (old.message, old.hint) == (message, hint):
                self._remove(old)
        while len(self.messages()) >= MOST:
            self._remove(self.messages()[0])
        strip = Message(message, hint, details, kind, action, self)
        strip.dismissed.connect(self._dismissed)
        strip.acted.connect(self._acted)
        self._column.addWidget(strip)
        strip.show()
        self.show()

    def set_messages(self, messages: Sequence[tuple[str, str, str, Kind, str]]) -> None:
        """Show exactly these (message, hint, details, kind, action); those shown stay put."""
        wanted = [message[:2] for message in messages]
        for old in self.messages():
            if (old.message, old.hint) not in wanted:
                self._remove(old)
        shown = [(old.message, old.hint) for old in self.messages()]
        for message in messages:
            if message[:2] not in shown:
                self.show_message(*message)
        self._settle()

    def clear(self) -> None:
        """Take all messages away."""
        for strip in self.messages():
            self._remove(strip)
        self._settle()

    def messages(self) -> list[Message]:
        """What is shown, oldest first."""
        widgets = (self._column.itemAt(i).widget() for i in range(self._column.count()))
        return [widget for widget in widgets if isinstance(widget, Message)]

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0)

    def sizeHint(self) -> QSize:
        # A tool bar asks for no height for a width, and a label guesses a narrow one.
        height = self._column.heightForWidth(self.width()) if self._column.count() else 0
        return QSize(super().sizeHint().width(), max(height, 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def _remove(self, strip: Message) -> None:
        self._column.removeWidget(strip)
        strip.hide()
        strip.deleteLater()

    def _settle(self) -> None:
        if not self.messages():
            self.hide()
            self.emptied.emit()

    @Slot()
    def _acted(self) -> None:
        strip = self.sender()
        if isinstance(strip, Message):
            self.message_acted.emit(strip.message, strip.hint)

    @Slot()
    def _dismissed(self) -> None:
        strip = self.sender()
        if isinstance(strip, Message):
            self._remove(strip)
            self.message_dismissed.emit(strip.message, strip.hint)
            self._settle()
