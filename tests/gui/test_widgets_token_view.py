"""The token view, through its setters, signals and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QColor
from PySide6.QtTest import QTest

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.token_layout import Kind, TokenLayout, shown
from desktop_scope.gui.widgets.token_view import TokenView

TEXTS = [
    "<|im_start|>",
    "user",
    "\n",
    "My",
    " chi",
    "hua",
    "hua",
    " bar",
    "ks",
    ".",
    "\n",
    "A",
    " dog",
]


@pytest.fixture
def view(qtbot, qapp):
    theme.apply(qapp, "light")
    view = TokenView()
    qtbot.addWidget(view)
    view.resize(400, 240)
    masked = np.zeros(len(TEXTS), bool)
    masked[0] = True
    view.set_tokens(TEXTS, masked, 11)
    with qtbot.waitExposed(view):
        view.show()
    return view


def many_texts(n: int = 2000) -> list[str]:
    rng = np.random.default_rng(0)
    words = [" " + "x" * int(k) for k in rng.integers(1, 12, 300)] + ["ing", ".", "\n"]
    return [words[i] for i in rng.integers(0, len(words), n)]


def click(view: TokenView, token: int) -> None:
    QTest.mouseClick(
        view.viewport(), Qt.MouseButton.LeftButton, pos=view.token_rect(token).center()
    )


def greenness(view: TokenView, token: int) -> float:
    """How much more green than red and blue there is in a token's box."""
    box = view.token_rect(token).adjusted(3, 3, -3, -1)
    image = view.viewport().grab(box).toImage()
    colors = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return float(np.mean([c.green() - (c.red() + c.blue()) / 2 for c in colors]))


@pytest.mark.parametrize(
    ("text", "seen", "kind", "gap", "breaks"),
    [
        ("dog", "dog", Kind.PLAIN, False, False),
        (" dog", "dog", Kind.PLAIN, True, False),
        ("\n", "⏎", Kind.SPACE, False, True),
        ("\n\n", "⏎⏎", Kind.SPACE, False, True),
        ("  ", "··", Kind.SPACE, False, False),
        ("<|im_start|>", "im_start", Kind.PILL, True, False),
        ("<s>", "s", Kind.PILL, True, False),
        ("</s>", "/s", Kind.PILL, True, False),
        ("<0xF0>", "F0", Kind.PILL, False, False),
        ("\x07", "07", Kind.PLAIN, False, False),
        ("a < b", "a < b", Kind.PLAIN, False, False),
        ("", "∅", Kind.SPACE, False, False),
        (".\n", ".⏎", Kind.PLAIN, False, True),
    ],
)
def test_how_tokens_appear(text, seen, kind, gap, breaks):
    assert shown(text) == (seen, kind, gap, breaks)


def test_a_click_selects_the_token_under_the_pointer(view):
    clicked, moved = [], []
    view.token_clicked.connect(clicked.append)
    view.current_changed.connect(moved.append)
    for token in (5, 12, 0):
        click(view, token)
        assert clicked[-1] == moved[-1] == token
        assert view.current() == token


def test_a_click_on_nothing_selects_nothing(view, qtbot):
    with qtbot.assertNotEmitted(view.token_clicked):
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(390, 230))
    assert view.current() == -1


def test_the_program_choosing_is_silent(view, qtbot):
    with qtbot.assertNotEmitted(view.current_changed):
        view.set_current(4)
        view.set_current(-1)
        view.set_current(99)
    assert view.current() == -1


def test_keys_move(view):
    view.setFocus()
    view.set_current(4)
    moved = []
    view.current_changed.connect(moved.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Home, Qt.Key.Key_End):
        QTest.keyClick(view, key)
    assert moved == [5, 4, 0, 12]
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.current() == 12
    QTest.keyClick(view, Qt.Key.Key_Up)
    assert view.token_rect(view.current()).top() < view.token_rect(11).top()
    QTest.keyClick(view, Qt.Key.Key_Down)
    assert view.current() in (11, 12)


def test_stronger_is_greener(view):
    values = np.zeros(len(TEXTS))
    values[[4, 5, 6]] = [2, 10, 20]
    view.set_values(values, 20)
    none, weak, middle, full = (greenness(view, token) for token in (3, 4, 5, 6))
    assert none < weak < middle < full
    view.set_values(None)
    assert greenness(view, 6) == pytest.approx(none, abs=0.5)


def test_strength_shows_without_colour(view):
    """The underline is taller where the feature is stronger."""
    values = np.zeros(len(TEXTS))
    values[[5, 6]] = [5, 20]
    view.set_values(values, 20)
    mark = theme.tokens().strength.rgb()
    heights = []
    for token in (3, 5, 6):
        rect = view.token_rect(token)
        image = view.viewport().grab(rect).toImage()
        column = [image.pixelColor(rect.width() // 2, y).rgb() for y in range(rect.height())]
        heights.append(column.count(mark))
    assert heights[0] == 0 < heights[1] < heights[2]


def test_signed_values_use_orange_and_blue(view):
    values = np.zeros(len(TEXTS))
    values[[5, 6]] = [-1, 1]
    view.set_values(values, 1, signed=True)

    def color(token: int) -> QColor:
        rect = view.token_rect(token)
        return view.viewport().grab(rect).toImage().pixelColor(rect.width() // 2, 1)

    assert color(5).red() > color(5).blue()
    assert color(6).blue() > color(6).red()


def test_masked_tokens_look_different(view):
    rect = view.token_rect(0)
    before = view.viewport().grab(rect).toImage()
    view.set_tokens(TEXTS, None, 11)
    assert view.viewport().grab(rect).toImage() != before


def test_pinned_features_underline(view):
    top = view.token_rect(12).top()
    values = np.zeros(len(TEXTS))
    values[5] = 1
    view.set_pinned([("noise", values, theme.pinned_color(0))])
    assert view.token_rect(12).top() > top
    rect = view.token_rect(5).adjusted(0, 0, 0, 5)
    image = view.viewport().grab(rect).toImage()
    column = {image.pixelColor(rect.width() // 2, y).name() for y in range(rect.height())}
    assert theme.pinned_color(0).name() in column
    assert "noise: 100 %" in view.tooltip_text(5)
    view.set_pinned([])
    assert view.token_rect(12).top() == top


@pytest.mark.parametrize("width", [60, 300, 900])
def test_two_thousand_tokens_do_not_overlap(qapp, width):
    layout = TokenLayout(theme.ui_font())
    layout.set_width(width)
    layout.set_texts(many_texts())
    same_line = np.diff(layout.lines) == 0
    ends = layout.lefts + layout.widths
    assert (layout.lefts[1:][same_line] > ends[:-1][same_line]).all()
    assert set(np.diff(layout.lines)) <= {0, 1}
    assert (ends <= width).all()
    assert (layout.widths > 0).all()


def test_every_token_is_found_under_its_own_centre(view):
    view.set_tokens(many_texts(300), None, 150)
    for token in range(300):
        assert view.token_at(view.token_rect(token).center()) == token


def test_streaming_gives_the_same_lines_as_all_at_once(qapp):
    texts = many_texts(400)
    grown = TokenLayout(theme.ui_font())
    grown.set_texts(texts[:100], 100)
    for start in range(100, 400, 3):
        before = grown.lefts.copy()
        moved = grown.append(texts[start : start + 3])
        assert (grown.lefts[:moved] == before[:moved]).all()
    whole = TokenLayout(theme.ui_font())
    whole.set_texts(texts, 100)
    for name in ("lefts", "lines", "widths"):
        assert (getattr(grown, name) == getattr(whole, name)).all()


def test_streaming_keeps_what_stands_and_follows_the_end(view, qtbot):
    view.set_current(4)
    rects = [view.token_rect(token) for token in range(len(TEXTS))]
    with qtbot.assertNotEmitted(view.current_changed):
        view.append_tokens([" barks", " loudly"])
    assert view.count() == len(TEXTS) + 2
    assert [view.token_rect(token) for token in range(len(TEXTS))] == rects
    assert view.current() == 4
    for _ in range(30):
        view.append_tokens([" word", "\n"])
    assert view.token_rect(view.count() - 1).bottom() <= view.viewport().height()


def test_streaming_paints_the_same_as_all_at_once(view):
    texts = many_texts(120)
    view.set_tokens(texts[:10], None, 10)
    for start in range(10, 120, 7):
        view.append_tokens(texts[start : start + 7])
        view.viewport().grab()
    view.verticalScrollBar().setValue(0)
    streamed = view.viewport().grab().toImage()
    view.set_tokens(["x"])
    view.set_tokens(texts, None, 10)
    view.verticalScrollBar().setValue(0)
    assert view.viewport().grab().toImage() == streamed


def test_an_answer_that_begins_while_streaming_gets_its_divider(view):
    view.set_tokens(["a", " b"], None, 2)
    assert view.token_rect(1).top() == view.token_rect(0).top()
    view.append_tokens([" c"])
    assert view.token_rect(2).top() > view.token_rect(1).bottom() + 16


def test_the_current_token_survives_the_same_text_coming_again(view):
    view.set_current(5)
    view.set_tokens(TEXTS, None, 11)
    assert view.current() == 5
    view.set_tokens(["a"], None)
    assert view.current() == -1


def test_scrolling_brings_a_token_into_sight(view, qtbot):
    view.set_tokens(many_texts())
    view.set_current(1500)
    assert view.viewport().rect().contains(view.token_rect(1500))
    view.set_current(0)
    assert view.viewport().rect().contains(view.token_rect(0))


def test_a_screen_reader_hears_tokens(view):
    view.set_values(np.full(len(TEXTS), 2.5), 5)
    interface = QAccessible.queryAccessibleInterface(view)
    assert interface.text(QAccessible.Text.Name) == "Tokens"
    assert interface.role() == QAccessible.Role.List
    index = view.model().index(8)
    spoken = index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "ks, position 8, activation 2.50"
    assert "not encoded" in view.accessible_text(0)


def test_tooltips_say_what_is_known(view):
    view.set_values(np.full(len(TEXTS), 2.5), 5)
    view.set_details(["id 1"] * len(TEXTS), np.full(len(TEXTS), np.log(0.25)))
    text = view.tooltip_text(4)
    assert "“chi”" in text
    assert "activation 2.50 of 5.00" in text
    assert "25 %" in text
    assert "id 1" in text


def test_hovering_is_told_once(view):
    seen = []
    view.token_hovered.connect(seen.append)
    for _ in range(2):
        QTest.mouseMove(view.viewport(), view.token_rect(5).center())
    QTest.mouseMove(view.viewport(), QPoint(395, 235))
    assert seen == [5, -1]


def test_stale_content_stays_but_fades(view):
    view.set_values(np.full(len(TEXTS), 5.0), 5)
    strong = greenness(view, 6)
    view.set_stale(True)
    assert 0 < greenness(view, 6) < strong
    view.set_stale(False)
    assert greenness(view, 6) == pytest.approx(strong)


def test_a_bigger_face_makes_bigger_boxes(view):
    before = view.token_rect(4)
    view.set_token_font("", 26)
    assert view.token_rect(4).height() > before.height()
    assert view.token_rect(4).width() > before.width()


def test_tokens_follow_the_size_of_the_interface(view, qapp):
    before = view.token_rect(4)
    theme.apply(qapp, "light", px=20)
    assert view.token_rect(4).height() > before.height()
    view.set_token_font("", 13)
    assert view.token_rect(4) == before
    theme.apply(qapp, "light")


def test_letters_are_left_to_the_window(view):
    view.setFocus()
    view.set_current(4)
    QTest.keyClick(view, Qt.Key.Key_B)
    assert view.current() == 4


def test_no_tokens_at_all(view):
    view.set_tokens([])
    view.set_values(np.zeros(0), 1)
    view.viewport().grab()
    QTest.keyClick(view, Qt.Key.Key_End)
    assert view.current() == -1


def test_dark_repaints(view, qapp):
    light = view.viewport().grab().toImage()
    theme.apply(qapp, "dark")
    assert view.viewport().grab().toImage().pixelColor(395, 235) == theme.DARK.surface
    theme.apply(qapp, "light")
    assert view.viewport().grab().toImage() == light


def test_2000_tokens_are_coloured_within_a_frame(view):
    from time import perf_counter

    view.resize(900, 700)
    view.set_tokens(many_texts())
    view.viewport().grab()
    took = []
    for seed in range(10):
        values = np.random.default_rng(seed).random(2000)
        start = perf_counter()
        view.set_values(values, 1)
        view.viewport().repaint()
        took.append(perf_counter() - start)
    assert min(took) < 0.008
