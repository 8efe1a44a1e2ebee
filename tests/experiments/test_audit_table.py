"""Tables of an audit: what people write by hand is understood or refused in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_scope.errors import ScopeError
from desktop_scope.experiments import audit_table
from desktop_scope.experiments.audit_table import (
    Aim,
    AuditRow,
    Part,
    from_template,
    halved,
    parse_rows,
    read_table,
)
from desktop_scope.experiments.ready_cases import CASES

HEAD = "prompt,answer,instead\n"


def table(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_answers_are_literal_and_prompts_may_hold_anything(tmp_path):
    text = 'prompt,answer,instead,chat\n"Say ""yes"", or\nno:", yes, no,true\n"ünï",1,2,\n'
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        rows = read_table(table(tmp_path, data)).rows
        assert rows[0] == AuditRow('Say "yes", or\nno:', " yes", " no", chat=True)
        assert rows[1] == AuditRow("ünï", "1", "2")
    semicolons = text.replace('Say ""yes"", or', "Say yes").replace(",", ";")
    assert read_table(table(tmp_path, semicolons)).rows[0].answer == " yes"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "no column “prompt”"),
        ("prompt,answer\na,b\n", "no column “instead”"),
        ("prompt,answer,instead,answer\na,b,c,d\n", "two columns “answer”"),
        (HEAD, "has no rows"),
        (HEAD + "\n , ,\n", "has no rows"),
        (HEAD + "a, he\n", "line 2: 2 cells under 3 columns"),
        (HEAD + "a, he, she, it\n", "4 cells"),
        (HEAD + "a, he, he\n", "both answers are “ he”"),
        (HEAD + " ,b,c\n", "the prompt is empty"),
        (HEAD + "a,,c\n", "an answer is empty"),
        (HEAD + '"a, he, she\n', "line 2: unexpected end"),
        (HEAD + '"a"b, he, she\n', "line 2"),
        ("prompt,answer,instead,chat\na,b,c,perhaps\n", "“perhaps” is neither true nor false"),
        ("prompt,answer,instead,begun\na,b,c,So\n", "only an answer in a chat"),
        (b"prompt,answer,instead\n\xff\xfa,b,c\n", "not UTF-8"),
        (HEAD + "a\0,b,c\n", "not a text file"),
    ],
)
def test_what_makes_no_sense_is_told_of(tmp_path, data, words):
    with pytest.raises(ScopeError, match=words) as error:
        read_table(table(tmp_path, data))
    assert error.value.hint


def test_files_that_are_not_there_or_too_large_are_told_of(tmp_path, monkeypatch):
    with pytest.raises(ScopeError, match="cannot be read"):
        read_table(tmp_path / "nothing.csv")
    path = table(tmp_path, HEAD + "a,b,c\n" * 30)
    monkeypatch.setattr(audit_table, "MOST_ROWS", 20)
    with pytest.raises(ScopeError, match="more than 20 rows"):
        read_table(path)
    monkeypatch.setattr(audit_table, "_MOST_BYTES", 20)
    with pytest.raises(ScopeError, match="larger than"):
        read_table(path)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        rows = parse_rows(text, "any")
    except ScopeError:
        return
    assert all(row.prompt.strip() and row.answer != row.instead for row in rows)


def test_a_template_makes_a_row_of_every_word(tmp_path):
    made = from_template(
        "Ask {}.", [" nurse ", "", "pilot", "nurse"], " he", " she", True, "The {}"
    )
    assert [(row.prompt, row.begun, row.word) for row in made.rows] == [
        ("Ask nurse.", "The nurse", "nurse"),
        ("Ask pilot.", "The pilot", "pilot"),
    ]
    for text, words in (("no place", ["a"]), ("a {}", [" "])):
        with pytest.raises(ScopeError):
            from_template(text, words, " he", " she")
    with pytest.raises(ScopeError, match="both answers"):
        from_template("a {}", ["b"], " he", " he")


def test_every_second_row_is_held_out_but_for_controls_and_small_tables():
    rows = [AuditRow(f"p{n}", "a", "b") for n in range(8)]
    control = AuditRow("q", "a", "b", part=Part.CONTROL)
    parts = [row.part for row in halved([control, *rows, control])]
    assert parts == [Part.CONTROL, *[Part.FIND, Part.HELD_OUT] * 4, Part.CONTROL]
    assert {row.part for row in halved(rows[:7])} == {Part.FIND}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_ready_made_cases_hold_rows_out_and_have_a_control(case):
    made = case.make()
    assert all(len(made.of(part)) >= 20 for part in Part)
    asked = {row.prompt + row.begun for n in made.of(Part.FIND) for row in [made.rows[n]]}
    for part in (Part.HELD_OUT, Part.CONTROL):
        assert not asked & {made.rows[n].prompt + made.rows[n].begun for n in made.of(part)}
    assert made.about
    assert made.found
    if made.aim is Aim.ACCURACY:
        for row in made.rows:
            a, b = (float(word) for word in row.prompt.rstrip("?").split(", ")[1].split(" or "))
            right = (max if "bigger" in row.prompt else min)(a, b)
            assert str(right)[: len(str(int(right))) + 2].endswith(f".{row.answer}")
            wrong = min(a, b) if right == max(a, b) else max(a, b)
            assert str(wrong).split(".")[1].startswith(row.instead)
