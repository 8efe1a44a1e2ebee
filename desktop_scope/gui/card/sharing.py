"""Taking a card along: as Markdown, and as an image for slides."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton

from desktop_scope.evidence.types import Card, Insight
from desktop_scope.gui.card.image import card_image
from desktop_scope.gui.card.text import as_markdown
from desktop_scope.gui.widgets.buttons import tool_button

_FORMS = (
    ("markdown", "Copy as &Markdown"),
    ("image", "Copy an &image for slides"),
    ("light", "Save a &light image …"),
    ("dark", "Save a &dark image …"),
)


class ShareButton(QToolButton):
    """A button with a menu of forms.

    Signals:
        copied: The user wants the card in the form of this name: see ``give``.
    """

    copied = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        like = tool_button("Copy", "Copy the card as Markdown, or as an image for slides")
        self.setText(like.text())
        self.setToolTip(like.toolTip())
        self.setFocusPolicy(like.focusPolicy())
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        for form, title in _FORMS:
            menu.addAction(title).triggered.connect(
                lambda _=False, form=form: self.copied.emit(form)
            )
        self.setMenu(menu)

    def give(self, form: str, card: Card, insight: Insight | None) -> bool:
        """Put the card into the clipboard or a file; False where it could not be saved."""
        clipboard = QGuiApplication.clipboard()
        if form == "markdown":
            clipboard.setText(as_markdown(card, insight))
            return True
        if form == "image":
            clipboard.setImage(card_image(card, insight))
            return True
        path = self.ask_path(card)
        return not path or card_image(card, insight, dark=form == "dark").save(path)

    def ask_path(self, card: Card) -> str:
        """Let the user say where to save the image; empty if nowhere."""
        name = f"feature-{card.name.replace('/', '-').replace(':', '-')}.png"
        return QFileDialog.getSaveFileName(self, "Save the card", name, "PNG (*.png)")[0]
