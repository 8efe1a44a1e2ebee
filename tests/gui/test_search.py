"""Five ways to find a feature, in a real window."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from desktop_scope.engine.types import Prompt
from desktop_scope.evidence.requests import Scope
from desktop_scope.gui import actions, search_actions


def test_every_way_to_find_a_feature(user):
    panel, tokens = user.panel("features"), user.panel("tokens")
    user.store.act(actions.set_prompt, Prompt("My chihuahua barks at presidents.", chat=False))
    user.settled()

    # By label: the empty list offers something, which is typed for the user.
    panel._scopes[Scope.ALL].click()
    user.settled()
    assert "Try" in panel._empty._button.text()
    panel._empty._button.click()
    user.settled()
    assert panel._words.text() == "canine"
    panel._words.setText("mountain")
    state = user.until(lambda s: s.settled and s.filters.words == "mountain")
    assert state.ranking.rows[0].label.text.startswith("'mountain'")

    # The words stay when the way is changed.
    panel._scopes[Scope.PROMOTES].click()
    state = user.until(lambda s: s.settled and s.ranking.measure is not None)
    assert state.ranking.measure.title == "Promotes"
    assert "σ" in panel._table._rows.data(panel._table._rows.index(0, 2))
    assert panel._note.text()

    # By example: a phrase is dragged over in the text.
    view = tokens._view
    at = [view.token_rect(n).center() for n in (2, 4)]
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=at[0])
    for place in (at[0] + QPoint(3, 0), at[1]):
        QTest.mouseMove(view.viewport(), place)
    view._drag(4)  # offscreen, Qt tells no buttons with a move
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=at[1])
    state = user.until(lambda s: s.settled and s.filters.scope is Scope.EXAMPLE)
    assert state.search.span == (2, 4)
    assert panel._words.text() == " chihuahua"
    assert any("dog" in row.label.text for row in state.ranking.rows[:40])
    panel._words.setText("once upon a time")
    state = user.until(lambda s: s.settled and s.search.example == "once upon a time")
    assert any("upon" in row.label.text for row in state.ranking.rows[:20])

    # By contrast.
    panel._scopes[Scope.GIVEN].click()
    user.settled()
    assert panel._form.isVisible()
    panel._empty._button.click()
    state = user.until(lambda s: s.settled and s.search.contrast is not None)
    assert "kept aside" in panel._form._verdict.toolTip()
    assert state.ranking.measure.title == "AUROC"
    first = state.ranking.rows[0].feature
    user.store.act(search_actions.swap)
    state = user.until(lambda s: s.settled and s.search.contrast is not None)
    assert state.ranking.rows[0].feature != first

    # Filters count themselves.
    panel._more.click()
    assert panel._filters.isVisible()
    panel._filters.changed.emit("of_kind", "topic")
    state = user.settled()
    assert {row.label.kind for row in state.ranking.rows} == {"topic"}
    assert panel._more.text() == "Filters · 1"
