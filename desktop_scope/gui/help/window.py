"""The help in a window of its own, beside what it is about."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QKeyEvent, QTextBlockFormat, QTextCursor, QTextDocument, QTextTable
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QTextBrowser, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.help.pages import Page

_SIZE = QSize(820, 620)
_LIST_WIDTH = 168
_MARGIN = 24  # around the text
_LINE_HEIGHT = 130  # percent


class HelpWindow(QWidget):
    """Pages at the left, the chosen one at the right.

    Args:
        pages: In the order in which they are listed.
        parent: The window that it belongs to.
    """

    def __init__(self, pages: tuple[Page, ...], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self._pages = pages
        self.setWindowTitle("Help · Desktop Scope")
        self.resize(_SIZE)
        self._list = QListWidget()
        self._list.setAccessibleName("Pages")
        self._list.setFixedWidth(_LIST_WIDTH)
        self._list.setSpacing(2)
        self._list.addItems([page.title for page in pages])
        self._text = QTextBrowser()
        self._text.setAccessibleName("Help")
        self._text.setOpenLinks(False)  # nothing is fetched
        self._text.document().setDocumentMargin(_MARGIN)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._list)
        row.addWidget(self._text, 1)
        self._list.currentRowChanged.connect(self._draw)
        theme.changed.connect(self._draw)

    def show_page(self, id_: str) -> None:
        """Come to the front with a page."""
        ids = [page.id for page in self._pages]
        self._list.setCurrentRow(ids.index(id_) if id_ in ids else 0)
        self.show()
        self.activateWindow()
        self._text.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape closes it."""
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    @Slot()
    def _draw(self) -> None:
        row = self._list.currentRow()
        if row >= 0:
            self._text.document().setDefaultFont(theme.ui_font())
            self._text.setMarkdown(self._pages[row].text)
            _space_out(self._text.document())
            self._text.moveCursor(QTextCursor.MoveOperation.Start)


def _space_out(document: QTextDocument) -> None:
    """Room between lines and paragraphs, which Markdown comes without, and hair-thin tables."""
    block = document.begin()
    while block.isValid():
        style = block.blockFormat()
        style.setLineHeight(_LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        in_table = QTextCursor(block).currentTable() is not None
        style.setTopMargin(18.0 if style.headingLevel() else 0.0)
        style.setBottomMargin(0.0 if in_table else 8.0)
        QTextCursor(block).setBlockFormat(style)
        block = block.next()
    for table in document.rootFrame().childFrames():
        if isinstance(table, QTextTable):
            look = table.format().toTableFormat()
            look.setBorderBrush(theme.tokens().line)
            look.setBorderCollapse(True)
            table.setFormat(look)
