"""What is remembered between sessions: theme, type size, places, prompts."""

from __future__ import annotations

import msgspec
from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QApplication

from desktop_scope import paths
from desktop_scope.engine.types import Prompt
from desktop_scope.gui import theme

_PX_RANGE = (10, 22)


class Settings:
    """This user's settings; they stay in memory where nothing can be written."""

    def __init__(self) -> None:
        path = str(paths.config_dir() / "window.ini")
        self._file = QSettings(path, QSettings.Format.IniFormat)

    @property
    def scheme(self) -> theme.Scheme:
        """Light, dark, or what the system says."""
        value = self._file.value("theme")
        return value if value in ("light", "dark") else "system"

    @scheme.setter
    def scheme(self, scheme: theme.Scheme) -> None:
        self._file.setValue("theme", scheme)

    @property
    def px(self) -> int:
        """Size of the interface type."""
        try:
            px = int(self._file.value("px", theme.BASE_PX))
        except (TypeError, ValueError):  # edited by hand
            px = theme.BASE_PX
        return min(max(px, _PX_RANGE[0]), _PX_RANGE[1])

    @px.setter
    def px(self, px: int) -> None:
        self._file.setValue("px", px)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts answered before, the newest first."""
        try:
            return msgspec.json.decode(self._file.value("prompts", "[]"), type=tuple[Prompt, ...])
        except (msgspec.DecodeError, TypeError):  # edited by hand
            return ()

    @prompts.setter
    def prompts(self, prompts: tuple[Prompt, ...]) -> None:
        self._file.setValue("prompts", msgspec.json.encode(prompts).decode())

    @property
    def places(self) -> tuple[QByteArray, QByteArray] | None:
        """Geometry of the window and layout of its docks, when it was open before."""
        geometry, layout = self._file.value("geometry"), self._file.value("layout")
        known = isinstance(geometry, QByteArray) and isinstance(layout, QByteArray)
        return (geometry, layout) if known else None

    @places.setter
    def places(self, places: tuple[QByteArray, QByteArray]) -> None:
        self._file.setValue("geometry", places[0])
        self._file.setValue("layout", places[1])

    def save(self) -> None:
        """Write the file now."""
        self._file.sync()

    def dress(self) -> None:
        """Apply theme and type size to the application."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, self.scheme, self.px)
