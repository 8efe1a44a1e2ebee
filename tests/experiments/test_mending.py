"""A wrong answer asked in several ways, and what must stay right."""

from __future__ import annotations

import pytest

from desktop_scope.engine.types import FeatureId, Mode
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import Condition
from desktop_scope.experiments.audit_table import Aim, AuditRow, Part
from desktop_scope.experiments.mending import Mend, mend_table, question_row, rewordings

ASKED = AuditRow("Which is bigger, 9.11 or 9.8?", "8", "11", chat=True, begun="It is 9.")


def test_the_question_and_its_wordings_are_halved_and_the_control_begins_likewise():
    others = rewordings(ASKED.prompt, chat=True)
    table = mend_table(Mend(ASKED, (*others, " ", ASKED.prompt), ("Smaller? | 11 | 8", "")))
    assert table.aim is Aim.ACCURACY
    assert [row.part for row in table.rows] == [Part.FIND, Part.HELD_OUT] * 4 + [Part.CONTROL]
    assert table.rows[0].prompt == ASKED.prompt
    assert {(row.answer, row.instead, row.begun) for row in table.rows[:8]} == {
        ("8", "11", "It is 9.")
    }
    control = table.rows[-1]
    assert (control.prompt, control.answer, control.instead) == ("Smaller?", "11", "8")
    assert control.begun == "It is 9."


def test_lines_that_make_no_sense_are_told_of():
    for control, words in (
        ("Smaller? | 11", "Control 1 is not a question"),
        ("Smaller? | 8 | 8", "both answers"),
        (" | 8 | 11", "the prompt is empty"),
    ):
        with pytest.raises(ScopeError, match=words):
            mend_table(Mend(ASKED, (), (control,)))


def test_what_was_said_before_belongs_to_the_answer_or_to_the_text():
    assert question_row("Q", True, "It is", " a", " b") == AuditRow("Q", " b", " a", True, "It is")
    assert question_row("It", False, " is", " a", " b") == AuditRow("It is", " b", " a")
    assert all(text.endswith("It is") for text in rewordings("It is", chat=False))
    assert len({*rewordings("It is", chat=False), "It is"}) == 8


def test_turning_down_leaves_a_share_and_switching_off_nothing():
    feature = FeatureId(1, 2)
    (off,), (half,) = (Condition((feature,), factor=f).interventions for f in (0.0, 0.5))
    assert off.mode is Mode.ABLATE
    assert (half.mode, half.amount) == (Mode.SCALE, 0.5)
