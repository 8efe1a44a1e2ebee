"""Colours, type and spacing: one set of tokens for light, one for dark.

Green means strength, orange–blue means sign, everything else is grey. Fusion with an explicit
palette is used because the platforms' own colour schemes do nothing under many of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QToolTip

from desktop_scope import paths
from desktop_scope.errors import ScopeError

Scheme = Literal["light", "dark", "system"]
Rgba = NDArray[np.uint8]

SPACE = 4  # the unit of all distances: 4, 8, 12, 16
RADIUS = 4
BASE_PX = 13
TEXT_ROLE = QPalette.ColorRole.WindowText
MUTED_ROLE = QPalette.ColorRole.LinkVisited  # no role of Qt's means secondary text
PILL_STRENGTH = 0.4  # muted text stays readable on green up to here


@dataclass(frozen=True)
class Tokens:
    """The named colours everything is drawn with.

    Attributes:
        window: Behind the panels.
        surface: A panel.
        raised: Fields, buttons, pills, tooltips.
        selection: The chosen row.
        line: Hair lines.
        text: Text and numbers.
        muted: Secondary text.
        faint: Ticks, disabled things.
        accent: Focus, current token, default button; a grey, colour is for strength.
        strength: Marks of full strength, without text on them.
        orange: Marks of −1.
        blue: Marks of +1.
        danger: Errors.
        hatch: Hatching over what was not encoded.
        dark: Whether this is the dark set.
        fill_strength: Behind text, full strength.
        fill_orange: Behind text, −1.
        fill_blue: Behind text, +1.
    """

    window: QColor
    surface: QColor
    raised: QColor
    selection: QColor
    line: QColor
    text: QColor
    muted: QColor
    faint: QColor
    accent: QColor
    strength: QColor
    orange: QColor
    blue: QColor
    danger: QColor
    hatch: QColor
    dark: bool
    fill_strength: QColor
    fill_orange: QColor
    fill_blue: QColor


LIGHT = Tokens(
    window=QColor("#f3f4f5"),
    surface=QColor("#ffffff"),
    raised=QColor("#f3f4f5"),
    selection=QColor("#e4e7ea"),
    line=QColor("#dfe2e5"),
    text=QColor("#1b1d20"),
    muted=QColor("#565b62"),
    faint=QColor("#8b9199"),
    accent=QColor("#2b2f36"),
    strength=QColor("#0f7f3f"),
    orange=QColor("#b9560b"),
    blue=QColor("#1f68ad"),
    danger=QColor("#b42318"),
    hatch=QColor("#c6cacf"),
    dark=False,
    fill_strength=QColor("#46bd78"),
    fill_orange=QColor("#eca365"),
    fill_blue=QColor("#79b4e8"),
)
DARK = Tokens(
    window=QColor("#131416"),
    surface=QColor("#1b1c1f"),
    raised=QColor("#26282c"),
    selection=QColor("#33363b"),
    line=QColor("#303338"),
    text=QColor("#e8eaed"),
    muted=QColor("#a6acb4"),
    faint=QColor("#737983"),
    accent=QColor("#d9dce1"),
    strength=QColor("#45d184"),
    orange=QColor("#f0a35a"),
    blue=QColor("#6fb5f0"),
    danger=QColor("#ff8a80"),
    hatch=QColor("#44484e"),
    dark=True,
    fill_strength=QColor("#1d7546"),
    fill_orange=QColor("#8c4d12"),
    fill_blue=QColor("#235f97"),
)

# Okabe and Ito's palette, blue first and green late because green is the strength colour. Yellow
# is darkened on white, where the original has a contrast of only 1.3; black is the text colour.
_PINNED = ("#0072b2", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00", "#009e73", "#f0e442", "#999999")
PINNED_NAMES = (
    "blue", "vermilion", "purple", "sky", "orange", "green", "yellow", "grey", "black",
)  # fmt: skip


class _Theme(QObject):
    """The theme in use.

    Signals:
        changed: The tokens or the type size are others now.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.scheme: Scheme = "light"
        self.tokens = LIGHT
        self.px = BASE_PX
        self._followed: QObject | None = None

    def follow_system(self) -> None:
        hints = QApplication.styleHints()
        if self._followed is not hints:
            hints.colorSchemeChanged.connect(self._system_changed)
            self._followed = hints

    @Slot()
    def _system_changed(self) -> None:
        app = QApplication.instance()
        if self.scheme == "system" and isinstance(app, QApplication):
            apply(app, "system", self.px)


_theme = _Theme()
changed = _theme.changed


def tokens() -> Tokens:
    """The colours in use."""
    return _theme.tokens


def apply(app: QApplication, scheme: Scheme = "system", px: int = BASE_PX) -> None:
    """Dress the application.

    Widgets that paint themselves are repainted by the palette change; anything else can listen
    to ``theme.changed``.

    Args:
        app: The application.
        scheme: "light", "dark", or "system" to follow the desktop.
        px: Size of the interface type; 20 for a projector.
    """
    _theme.follow_system()
    dark = scheme == "dark"
    if scheme == "system":
        dark = app.styleHints().colorScheme() == Qt.ColorScheme.Dark
    _theme.scheme, _theme.tokens, _theme.px = scheme, DARK if dark else LIGHT, px
    if app.style().name() != "fusion":
        app.setStyle("Fusion")
    palette = _palette(_theme.tokens)
    app.setPalette(palette)
    QToolTip.setPalette(palette)
    app.setFont(ui_font(px))
    QToolTip.setFont(ui_font(px))
    app.setStyleSheet(_qss(_theme.tokens))
    _theme.changed.emit()


# -- type ---------------------------------------------------------------------------------------


@cache
def load_fonts() -> tuple[str, ...]:
    """Families of the shipped fonts; empty when none are shipped. Needs the application."""
    try:
        folder = paths.resources() / "fonts"
    except ScopeError:
        return ()
    families: list[str] = []
    for path in sorted([*folder.glob("**/*.ttf"), *folder.glob("**/*.otf")]):
        families += QFontDatabase.applicationFontFamilies(
            QFontDatabase.addApplicationFont(str(path))
        )
    return tuple(dict.fromkeys(families))


def _shipped(wanted: str, fallback: QFontDatabase.SystemFont) -> str:
    return next(
        (family for family in load_fonts() if family.startswith(wanted)),
        QFontDatabase.systemFont(fallback).family(),
    )


def ui_font(px: int | None = None) -> QFont:
    """The interface face."""
    font = QFont(_shipped("Inter", QFontDatabase.SystemFont.GeneralFont))
    font.setPixelSize(px or _theme.px)
    return font


def mono_font(px: int | None = None) -> QFont:
    """The monospaced face, for tokens and code."""
    font = QFont(_shipped("JetBrains Mono", QFontDatabase.SystemFont.FixedFont))
    font.setPixelSize(px or _theme.px)
    return font


def figures(font: QFont) -> QFont:
    """The same face with figures of equal width, for columns of numbers."""
    tabular = QFont(font)
    tabular.setFeature(QFont.Tag("tnum"), 1)
    return tabular


def small(font: QFont) -> QFont:
    """The same face, a step smaller: ticks, captions, definitions."""
    smaller = QFont(font)
    smaller.setPixelSize(max(9, round(font.pixelSize() * 0.85)))
    return smaller


def strong(font: QFont) -> QFont:
    """The same face, a step heavier: headings."""
    heavier = QFont(font)
    heavier.setWeight(QFont.Weight.DemiBold)
    return heavier


# -- colour -------------------------------------------------------------------------------------


def rgb(color: QColor) -> NDArray[np.float64]:
    """Red, green, blue, 0…255."""
    return np.array([color.red(), color.green(), color.blue()], np.float64)


def contrast(a: QColor, b: QColor) -> float:
    """WCAG contrast of two opaque colours, 1…21; text needs 4.5."""
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: QColor) -> float:
    part = rgb(color) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def strength_rgba(values: NDArray[np.floating], behind_text: bool = True) -> Rgba:
    """Sequential green: transparent at 0, full at 1.

    Args:
        values: 0…1, any shape; what lies outside is clipped, nan is 0.
        behind_text: Stay far enough from the text colour that text reads at every strength;
            otherwise use the whole range, for maps and bars.

    Returns:
        Straight (not premultiplied) RGBA, [..., 4].
    """
    full = _theme.tokens.fill_strength if behind_text else _theme.tokens.strength
    return _ramp(np.clip(np.nan_to_num(values), 0, 1), rgb(full))


def diverging_rgba(values: NDArray[np.floating], behind_text: bool = True) -> Rgba:
    """Orange at −1, transparent at 0, blue at +1; arguments as in ``strength_rgba``."""
    t = _theme.tokens
    values = np.clip(np.nan_to_num(values), -1, 1)
    low, high = (t.fill_orange, t.fill_blue) if behind_text else (t.orange, t.blue)
    full = np.where(values[..., None] < 0, rgb(low), rgb(high))
    return _ramp(np.abs(values), full)


def order_rgb(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Blue over grey-green to ochre for what has an order but no strength, such as layers.

    Told apart with every kind of colour vision: lightness rises with the blue–yellow contrast.

    Args:
        values: 0…1, any shape; nan is grey.

    Returns:
        [..., 3].
    """
    steps = _order_steps(_theme.tokens.dark)
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(steps) - 1)
    mixed = steps[at.round().astype(np.intp)]
    mixed[np.isnan(values)] = rgb(_theme.tokens.hatch)
    return mixed


_ORDER_LIGHT = np.array(
    [(27, 51, 120), (62, 98, 140), (110, 134, 126), (170, 150, 78), (232, 172, 40)]
)
_ORDER_DARK = np.array(
    [(70, 100, 190), (96, 134, 178), (142, 164, 152), (196, 180, 110), (246, 200, 80)]
)


@cache
def _order_steps(dark: bool) -> NDArray[np.uint8]:
    """As many steps as the eye may tell apart, [n, 3]."""
    stops = _ORDER_DARK if dark else _ORDER_LIGHT
    at, places = np.linspace(0, len(stops) - 1, 512), np.arange(len(stops))
    mixed = np.stack([np.interp(at, places, stops[:, part]) for part in range(3)], axis=-1)
    return mixed.round().astype(np.uint8)


def _ramp(strength: NDArray[np.floating], full: NDArray[np.float64]) -> Rgba:
    rgba = np.empty((*strength.shape, 4), np.uint8)
    rgba[..., :3] = full
    # Weak but present is visible: the eye should find every token on which a feature fires.
    rgba[..., 3] = np.where(strength > 0, 20 + 235 * strength**0.9, 0)
    return rgba


def opaque(rgba: Rgba, background: QColor | None = None) -> NDArray[np.uint32]:
    """Lay straight RGBA over a colour; pixels for ``QImage.Format_RGB32``, [...]."""
    background = _theme.tokens.surface if background is None else background
    alpha = rgba[..., 3:].astype(np.uint32)
    mixed = rgba[..., :3] * alpha + rgb(background).astype(np.uint32) * (255 - alpha)
    mixed = (mixed + 127) // 255
    return (
        np.uint32(0xFF000000) | (mixed[..., 0] << 16) | (mixed[..., 1] << 8) | mixed[..., 2]
    ).astype(np.uint32)


def pinned_color(slot: int) -> QColor:
    """The colour of the pinned feature in a slot, 0…8."""
    slot %= len(PINNED_NAMES)
    if slot == len(_PINNED):
        return QColor(_theme.tokens.text)
    if _PINNED[slot] == "#f0e442" and not _theme.tokens.dark:
        return QColor("#b3a600")
    return QColor(_PINNED[slot])


# -- widgets ------------------------------------------------------------------------------------


def _palette(t: Tokens) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for name, color in {
        role.Window: t.surface, role.WindowText: t.text, role.Base: t.surface,
        role.AlternateBase: t.raised, role.Text: t.text, role.PlaceholderText: t.faint,
        role.Button: t.raised, role.ButtonText: t.text, role.BrightText: t.danger,
        role.ToolTipBase: t.raised, role.ToolTipText: t.text, role.Link: t.text,
        role.LinkVisited: t.muted, role.Highlight: t.selection, role.HighlightedText: t.text,
        role.Accent: t.accent, role.Light: t.raised, role.Midlight: t.line, role.Mid: t.line,
        role.Dark: t.faint, role.Shadow: t.line,
    }.items():  # fmt: skip
        palette.setColor(name, color)
    for name in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, t.faint)
    return palette


def _icons() -> str:
    try:
        return (paths.resources() / "icons" / "controls").as_posix()
    except ScopeError:
        return ""


def _qss(t: Tokens) -> str:
    # Spin boxes lose their arrows here: with ButtonSymbols.NoButtons Qt 6.11 gives the number of
    # a styled spin box no room at all.
    c = {name: getattr(t, name).name() for name in Tokens.__dataclass_fields__ if name != "dark"}
    c |= {"mode": "dark" if t.dark else "light", "icons": _icons()}
    return """
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {line}; padding: 4px 6px; }}
QMainWindow, QStatusBar, QMenuBar {{ background: {window}; }}
QDockWidget::title {{ background: {window}; padding: 5px 10px; }}
QMainWindow::separator, QSplitter::handle {{ background: {line}; width: 1px; height: 1px; }}
QMenu {{ background: {surface}; border: 1px solid {line}; padding: 4px; }}
QMenu::item {{ padding: 4px 24px 4px 12px; border-radius: 4px; }}
QMenu::item:selected, QMenuBar::item:selected {{ background: {selection}; }}
QMenu::item:disabled {{ color: {faint}; }}
QMenu::separator {{ height: 1px; background: {line}; margin: 4px 8px; }}
QMenuBar::item {{ padding: 4px 8px; border-radius: 4px; }}
QAbstractScrollArea {{ border: none; }}
QPushButton, QToolButton {{ background: {raised}; border: 1px solid {line}; border-radius: 4px;
    padding: 3px 12px; }}
QToolButton {{ background: transparent; border-color: transparent; padding: 3px 6px; }}
QPushButton:hover, QToolButton:hover, QToolButton:checked {{ background: {selection}; }}
QPushButton:pressed, QToolButton:pressed, QPushButton:checked {{ background: {line}; }}
QToolButton[corner="true"] {{ background: {raised}; border-color: {line}; padding: 0 4px; }}
QToolButton[corner="true"]:hover {{ background: {selection}; }}
QToolButton[arrow="none"]::menu-indicator {{ image: none; width: 0; }}
QPushButton[doubtful="true"], QToolButton[doubtful="true"] {{ color: {muted}; }}
QPushButton:default {{ background: {accent}; color: {surface}; border-color: {accent}; }}
QPushButton:disabled, QToolButton:disabled {{ color: {faint}; }}
QPushButton:focus, QToolButton:focus, QLineEdit:focus, QPlainTextEdit:focus, QSpinBox:focus,
QDoubleSpinBox:focus {{ border: 1px solid {accent}; }}
QLineEdit, QPlainTextEdit, QSpinBox, QDoubleSpinBox {{ background: {surface};
    border: 1px solid {line}; border-radius: 4px; padding: 3px 6px; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 0; border: none;
    subcontrol-origin: border; subcontrol-position: right; }}
QCheckBox, QRadioButton {{ spacing: 8px; }}
QRadioButton::indicator {{ width: 14px; height: 14px; border: 1px solid {faint};
    border-radius: 8px; }}
QRadioButton::indicator:checked {{ border: 5px solid {accent}; width: 6px; height: 6px;
    background: {surface}; }}
QRadioButton::indicator:focus {{ border-color: {text}; }}
QProgressBar {{ background: {selection}; border: none; border-radius: 2px; max-height: 4px;
    color: transparent; }}
QProgressBar::chunk {{ background: {muted}; border-radius: 2px; }}
QSlider::groove:horizontal {{ height: 2px; background: {line}; }}
QSlider::sub-page:horizontal {{ background: {accent}; }}
QSlider::handle:horizontal {{ width: 12px; height: 12px; margin: -5px 0; border-radius: 6px;
    background: {accent}; }}
QTabWidget::pane {{ border: none; border-top: 1px solid {line}; }}
QTabBar {{ qproperty-drawBase: 0; }}
QTabBar::tab {{ background: transparent; color: {muted}; border: none; padding: 4px 12px;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:hover {{ color: {text}; }}
QTabBar::tab:selected {{ color: {text}; border-bottom-color: {accent}; }}
QTabBar::tab:focus {{ color: {text}; background: {raised}; }}
QDockWidget::title {{ background: {surface}; padding: 8px 12px; text-align: left; }}
QStatusBar::item {{ border: none; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {faint};
    border-radius: 4px; }}
QCheckBox::indicator:checked {{ background: {accent}; border-color: {accent};
    image: url("{icons}/check-{mode}.svg"); }}
QCheckBox:focus {{ outline: 0; }}
QCheckBox::indicator:focus {{ border: 2px solid {text}; width: 12px; height: 12px; }}
QComboBox {{ background: {raised}; border: 1px solid {line}; border-radius: 4px;
    padding: 3px 8px; }}
QComboBox:hover {{ background: {selection}; }}
QComboBox:focus {{ border-color: {accent}; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox::down-arrow {{ image: url("{icons}/chevron-{mode}.svg"); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {surface}; border: 1px solid {line};
    selection-background-color: {selection}; selection-color: {text}; }}
QAbstractSpinBox QLineEdit {{ border: none; background: transparent; }}
QSpinBox:disabled, QDoubleSpinBox:disabled, QLineEdit:disabled {{ color: {faint}; }}
QPushButton[flat="true"] {{ background: transparent; border-color: transparent;
    text-align: left; padding: 3px 6px; }}
QPushButton[flat="true"]:hover {{ background: {raised}; }}
QPushButton[flat="true"]:focus {{ border-color: {accent}; }}
QAbstractItemView {{ outline: 0; }}
QHeaderView::section {{ background: {surface}; color: {muted}; border: none;
    border-bottom: 1px solid {line}; padding: 4px 8px; font-weight: normal; }}
QTableView {{ gridline-color: transparent; }}
QScrollBar {{ background: transparent; border: none; }}
QScrollBar:vertical {{ width: 10px; }}
QScrollBar:horizontal {{ height: 10px; }}
QScrollBar::handle {{ background: {line}; border-radius: 3px; margin: 2px; }}
QScrollBar::handle:vertical {{ min-height: 24px; }}
QScrollBar::handle:horizontal {{ min-width: 24px; }}
QScrollBar::handle:hover {{ background: {faint}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: none; }}
""".format(**c)
