"""Aligning two texts by their tokens."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from desktop_scope.engine.aligning import align

TOKENS = st.lists(st.integers(0, 4), max_size=12)


@given(TOKENS, TOKENS)
def test_pairs_have_the_same_token_and_never_cross(a, b):
    pairs = align(a, b)
    assert pairs.shape == (len(pairs), 2)
    assert all(a[i] == b[j] for i, j in pairs)
    assert (np.diff(pairs, axis=0) > 0).all()


@given(TOKENS)
def test_a_text_is_aligned_with_itself_token_by_token(a):
    assert align(a, a).tolist() == [[n, n] for n in range(len(a))]


@given(TOKENS, st.integers(0, 12), TOKENS)
def test_what_is_put_in_moves_what_comes_after_it(a, at, new):
    """With tokens that the text does not have, there is only one way to see it."""
    at = min(at, len(a))
    longer = [*a[:at], *(n + 100 for n in new), *a[at:]]
    expected = [[n, n if n < at else n + len(new)] for n in range(len(a))]
    assert align(np.array(a, np.int32), np.array(longer, np.int32)).tolist() == expected


def test_a_word_put_for_another_belongs_to_nothing():
    a, b = ["the", "king", "said", "that"], ["the", "queen", "said", "that"]
    assert align(a, b).tolist() == [[0, 0], [2, 2], [3, 3]]


def test_texts_with_nothing_in_common_have_no_pairs():
    assert align([1, 2], [3]).shape == (0, 2)
    assert align([], []).shape == (0, 2)


def test_tokens_that_are_in_half_of_a_long_text_count_too():
    text = [0, 1] * 300
    assert len(align(text, text)) == 600
