"""From input to output, as a person uses it: the real window on the real model."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit
from pytestqt.qtbot import QtBot

from desktop_scope.gui import actions, grid_actions, theme
from desktop_scope.gui.states.grid import Quantity
from desktop_scope.gui.widgets.heat_cells import Scale, cell_colors
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.heat_words import is_dark
from tests.gui.conftest import User

TOKEN = 4  # position among those that are shown


def part(user: User, kind: type, name: str):
    found = user.panel("layers").findChildren(kind)
    return next(widget for widget in found if widget.accessibleName() == name)


def test_every_quantity_is_shown_read_out_and_drives_the_panels(user: User, qtbot: QtBot) -> None:
    trace = user.state.trace
    assert trace is not None
    heat: HeatMap = user.panel("layers").findChild(HeatMap)
    box = part(user, QComboBox, "What the cells are coloured by")
    seen = []
    for quantity in Quantity:
        box.setCurrentIndex(box.findData(quantity))
        box.activated.emit(box.currentIndex())
        if quantity is Quantity.WORD:
            line = part(user, QLineEdit, "The word whose rank is shown")
            assert line.isVisible()
            line.setText("the")
            qtbot.keyClick(line, Qt.Key.Key_Return)
        if quantity is Quantity.CHANGE:
            line = part(user, QLineEdit, "The prompt that this one is compared with")
            line.setText("My cat sleeps at presidents.")
            qtbot.keyClick(line, Qt.Key.Key_Return)
        user.settled()
        pixels = heat.grab().toImage().convertToFormat(heat.grab().toImage().Format.Format_RGB32)
        seen.append(bytes(pixels.constBits()))
        columns = heat.table()
        assert len(columns["value"]) == len(columns["word"])
        assert np.isfinite(np.array(columns["value"])).any()
        assert heat.tooltip_text(5, TOKEN).startswith("layer 5, “")
        assert user.state.trace is trace  # nothing was run again
    assert len(set(seen)) == len(Quantity)
    change = user.state.grid
    assert change.other is not None

    user.store.act(grid_actions.show, Quantity.SURE)
    user.settled()
    said = heat.tooltip_text(29, TOKEN)
    assert "logit lens:" in said
    assert "entropy" in said
    where = heat.cell_rect(12, TOKEN).center().toPoint()
    qtbot.mouseClick(heat, Qt.MouseButton.LeftButton, pos=where)
    token = user.state.selection.token
    cells = user.state.grid.cells
    assert cells is not None
    assert token is not None
    assert user.state.selection.feature == cells.at(12, token)
    assert heat.current() == (12, TOKEN)
    user.settled()

    # Enlarged until there are words; what is under the pointer stays.
    at = QPointF(where)
    for _ in range(12):
        turned = QWheelEvent(
            at, heat.mapToGlobal(at), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(heat, turned)
    assert not heat.is_whole()
    assert heat.cell_at(where) == (12, TOKEN)
    plain = heat.grab().toImage()
    qtbot.waitUntil(lambda: heat.grab().toImage() != plain)  # the words are back
    before = heat.cell_rect(12, TOKEN).left()
    qtbot.mousePress(heat, Qt.MouseButton.LeftButton, pos=where)
    qtbot.mouseMove(heat, where - QPoint(40, 0))
    qtbot.mouseRelease(heat, Qt.MouseButton.LeftButton, pos=where - QPoint(40, 0))
    assert heat.cell_rect(12, TOKEN).left() <= before
    heat.fit()
    assert heat.is_whole()

    user.store.act(actions.open_workspace, user.state.workspace)
    user.settled()
    assert user.state.grid.quantity is Quantity.STRENGTH


# Viénot, Brettel & Mollon (1999) and Brettel et al. (1997) for tritanopia, in linear RGB.
BLINDNESS = {
    "deuteranopia": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "tritanopia": [[1.01354, 0.14268, -0.15622], [-0.01181, 0.87561, 0.13619],
                   [0.07707, 0.81208, 0.11085]],
    "none": np.eye(3).tolist(),
}  # fmt: skip


def lightness(rgb: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """CIE L* of sRGB colours as somebody sees them."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    y = np.clip(linear @ np.array(matrix).T, 0, 1) @ (0.2126, 0.7152, 0.0722)
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


@pytest.mark.parametrize("behind_text", [False, True])
@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("scale", list(Scale))
def test_more_is_lighter_or_darker_for_everybody(
    scale, tokens, blindness, behind_text, monkeypatch
):
    monkeypatch.setattr(theme._theme, "tokens", tokens)
    halves = [np.linspace(0.02, 1, 40)]
    if scale is Scale.SIGNED:
        halves.append(-halves[0])
    for shade in halves:
        pixels = theme.opaque(cell_colors(shade, scale, behind_text))
        rgb = np.stack([(pixels >> shift) & 255 for shift in (16, 8, 0)], axis=-1).astype(float)
        seen = lightness(rgb, BLINDNESS[blindness])
        steps = np.diff(seen)
        assert (steps > -0.4).all() or (steps < 0.4).all()  # rounding to whole colours
        assert abs(seen[-1] - seen[0]) > 12


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("scale", list(Scale))
def test_words_stand_out_from_every_cell(scale, tokens, monkeypatch):
    monkeypatch.setattr(theme._theme, "tokens", tokens)
    shade = np.linspace(-1 if scale is Scale.SIGNED else 0, 1, 101)
    colors = theme.opaque(cell_colors(shade, scale, behind_text=True))[None]
    from PySide6.QtGui import QColor

    for color, light in zip(colors[0].tolist(), is_dark(colors)[0].tolist(), strict=True):
        ink = QColor("#ffffff" if light else "#000000")
        assert theme.contrast(QColor.fromRgb(color), ink) >= 4.5
