"""Colours read well in both themes, whatever the strength."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QColor, QPalette

from desktop_scope.gui import theme

STRENGTHS = np.linspace(0, 1, 101)


@pytest.fixture(params=["light", "dark"])
def scheme(request, qapp):
    theme.apply(qapp, request.param)
    yield request.param
    theme.apply(qapp, "light")


def lowest_contrast(color: QColor, rgba: np.ndarray) -> float:
    return min(theme.contrast(color, QColor(int(pixel))) for pixel in theme.opaque(rgba))


def test_text_reads_at_every_strength(scheme):
    text = theme.tokens().text
    assert lowest_contrast(text, theme.strength_rgba(STRENGTHS)) >= 4.5
    assert lowest_contrast(text, theme.diverging_rgba(2 * STRENGTHS - 1)) >= 4.5


def test_muted_text_reads_up_to_the_pill_limit(scheme):
    weak = theme.strength_rgba(STRENGTHS * theme.PILL_STRENGTH)
    assert lowest_contrast(theme.tokens().muted, weak) >= 4.5


def test_text_reads_on_every_ground(scheme):
    t = theme.tokens()
    for ground in (t.window, t.surface, t.raised, t.selection):
        assert theme.contrast(t.text, ground) >= 7
        assert theme.contrast(t.muted, ground) >= 4.5
        assert theme.contrast(t.danger, ground) >= 4.5
    for mark in (t.strength, t.orange, t.blue, t.accent):
        assert theme.contrast(mark, t.surface) >= 3


def test_strength_grows_and_starts_at_nothing(scheme):
    for behind_text in (True, False):
        alpha = theme.strength_rgba(STRENGTHS, behind_text)[:, 3].astype(int)
        assert alpha[0] == 0
        assert alpha[1] > 0
        assert alpha[-1] == 255
        assert (np.diff(alpha) >= 0).all()


def test_odd_values_are_clipped_not_wrapped(scheme):
    odd = np.array([np.nan, -3, 7])
    assert theme.strength_rgba(odd)[:, 3].tolist() == [0, 0, 255]
    assert theme.diverging_rgba(odd)[:, 3].tolist() == [0, 255, 255]


def test_signs_differ_in_hue(scheme):
    low, high = (QColor(int(p)) for p in theme.opaque(theme.diverging_rgba(np.array([-1.0, 1.0]))))
    assert low.red() > low.blue()
    assert high.blue() > high.red()


def test_pinned_colours_are_nine_and_differ(scheme):
    colors = {theme.pinned_color(slot).name() for slot in range(9)}
    assert len(colors) == 9 == len(theme.PINNED_NAMES)


def test_apply_dresses_the_application(qapp, qtbot):
    with qtbot.waitSignal(theme.changed):
        theme.apply(qapp, "dark")
    assert theme.tokens() is theme.DARK
    assert qapp.palette().color(QPalette.ColorRole.Window) == theme.DARK.surface
    theme.apply(qapp, "light", px=20)
    assert qapp.font().pixelSize() == 20
    theme.apply(qapp, "system")
    assert theme.tokens() in (theme.LIGHT, theme.DARK)
    theme.apply(qapp, "light")


def test_tabular_figures_have_one_width(qapp):
    from PySide6.QtGui import QFontMetricsF

    measure = QFontMetricsF(theme.figures(theme.ui_font()))
    assert measure.horizontalAdvance("1111") == pytest.approx(measure.horizontalAdvance("0000"))


def test_the_window_loads_nothing_heavy():
    folder = Path(theme.__file__).parent / "widgets"
    widgets = {path.stem for path in folder.glob("[a-z]*.py")} - {"line_plot"}  # with pyqtgraph
    names = ["desktop_scope.gui.app", *(f"desktop_scope.gui.widgets.{name}" for name in widgets)]
    code = f"import sys, importlib; [importlib.import_module(n) for n in {names}];" + (
        "sys.exit(bool({'torch', 'transformers', 'pyqtgraph'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_worker_imports_the_plots_with_the_first_path():
    code = (
        "import sys\n"
        "from desktop_scope.evidence.requests import FollowFeature, OpenCatalogue\n"
        "from desktop_scope.gui.app import importing_plots\n"
        "handle = importing_plots(lambda request, job: request)\n"
        "handle(OpenCatalogue(None), None)\n"
        "assert 'pyqtgraph' not in sys.modules\n"
        "request = FollowFeature(None, None)\n"
        "assert handle(request, None) is request\n"
        "assert 'pyqtgraph' in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
