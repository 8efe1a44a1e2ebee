"""Pan and zoom of a heat map, as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QRectF

from desktop_scope.gui.widgets.heat_frame import Frame

SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 600))
RATIOS = st.sampled_from([1.0, 1.25, 2.0])
SHARES = st.floats(0, 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(0.3, 3), SHARES, SHARES),
        st.tuples(st.just("pan"), st.floats(-500, 500), st.floats(-300, 300), st.just(0.0)),
    ),
    max_size=6,
)


def frame_of(shape: tuple[int, int], ratio: float) -> Frame:
    return Frame.within(*shape, QRectF(40, 4, 601, 283), ratio)


def walked(frame: Frame, steps: list) -> Frame:
    for what, a, b, c in steps:
        if what == "zoom":
            at = QPointF(frame.left + b * frame.width, frame.top + c * frame.height)
            frame = frame.zoomed(a, at)
        else:
            frame = frame.panned(a, b)
    return frame


@given(SHAPES, RATIOS, STEPS, SHARES, SHARES)
def test_what_is_drawn_somewhere_is_found_there(shape, ratio, steps, x, y):
    frame = walked(frame_of(shape, ratio), steps)
    assume(min(frame.cell) * ratio >= 2)  # smaller cells share pixels
    tokens, rows = frame.tokens, frame.seen_rows
    token = tokens[0] + int(x * (tokens[1] - tokens[0] - 1))
    row = rows[0] + int(y * (rows[1] - rows[0] - 1))
    layer = shape[0] - 1 - row
    seen = frame.cell_rect(layer, token).intersected(frame.rect())
    assume(min(seen.width(), seen.height()) >= 1)
    assert frame.cell_at(seen.center()) == (layer, token)


@given(SHAPES, RATIOS, STEPS)
def test_the_map_never_leaves_a_gap_and_cells_join(shape, ratio, steps):
    frame = walked(frame_of(shape, ratio), steps)
    for at, room in ((frame.columns, frame.device[0]), (frame.rows, frame.device[1])):
        assert at[0] <= 0
        assert at[-1] >= room
        assert (np.diff(at) >= 0).all()
    first, last = frame.tokens
    assert frame.columns[first] <= 0 < frame.columns[first + 1]
    assert frame.columns[last] >= frame.device[0] > frame.columns[last - 1]


@given(SHAPES, RATIOS, st.floats(1.05, 4), SHARES, SHARES)
def test_what_lies_under_the_pointer_stays_there(shape, ratio, factor, x, y):
    frame = frame_of(shape, ratio).zoomed(3, QPointF(300, 150))
    at = QPointF(frame.left + x * frame.width, frame.top + y * frame.height)
    column = frame.cell[0]
    before = (at.x() - frame.left + frame.moved[0] / ratio) / column
    larger = frame.zoomed(factor, at)
    after = (at.x() - larger.left + larger.moved[0] / ratio) / larger.cell[0]
    assert after == pytest.approx(before, abs=2 / column)


@given(SHAPES, RATIOS, STEPS)
def test_out_again_shows_all(shape, ratio, steps):
    whole = frame_of(shape, ratio)
    frame = walked(whole, steps).zoomed(1e-9, QPointF(100, 100))
    assert frame.is_whole
    assert frame.columns.tolist() == whole.columns.tolist()


@given(SHAPES, RATIOS, STEPS, SHARES, SHARES)
def test_a_chosen_cell_comes_into_sight(shape, ratio, steps, x, y):
    layer, token = int(x * (shape[0] - 1)), int(y * (shape[1] - 1))
    frame = walked(frame_of(shape, ratio), steps).showing(layer, token)
    place = frame.cell_rect(layer, token)
    slack = 2 / ratio
    assert place.left() >= frame.left - slack
    assert place.right() <= frame.left + max(frame.width, place.width()) + slack
    assert place.top() >= frame.top - slack


def test_cells_grow_until_words_fit_and_no_further():
    frame = frame_of((48, 512), 1.0)
    for _ in range(60):
        frame = frame.zoomed(1.25, QPointF(300, 100))
    width, height = frame.cell
    assert 120 < width < 200
    assert 20 < height < 40
    assert frame.zoomed(1.25, QPointF(300, 100)) is frame


def test_the_same_part_stays_in_sight_when_the_window_grows():
    frame = frame_of((30, 100), 1.0).zoomed(6, QPointF(400, 200))
    middle = frame.tokens[0] + (frame.tokens[1] - frame.tokens[0]) // 2
    larger = frame.resized(Frame.within(30, 100, QRectF(40, 4, 900, 400), 1.0))
    assert larger.tokens[0] <= middle < larger.tokens[1]
    assert larger.zoom == frame.zoom
    other = frame.resized(Frame.within(30, 99, QRectF(40, 4, 900, 400), 1.0))
    assert other.zoom == 1
