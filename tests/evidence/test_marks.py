"""What a person adds to features: kept, undone, safe against crashes, shown first."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.court.verdicts import Verdicts
from desktop_scope.evidence.known import UNLABELLED, SampleEvidence
from desktop_scope.evidence.marks.overlay import MarkedEvidence
from desktop_scope.evidence.marks.requests import MarkFeatures
from desktop_scope.evidence.marks.store import MarkStore, label_value, trial_value
from desktop_scope.evidence.marks.types import STARS, Change, Kind, Mark
from desktop_scope.evidence.requests import Match, RankFeatures, Scope
from desktop_scope.evidence.types import Source, Verdict

DOG = FeatureId(17, 3988)


def found(catalogue, words: str) -> list[FeatureId]:
    request = RankFeatures(Scope.ALL, words=words, match=Match.WORDS)
    return [row.feature for row in catalogue.rank(request).rows]


def own(text: str, feature: int = 5, source: Source = Source.OWN) -> Mark:
    return Mark("sae", feature, Kind.LABEL, source, label_value(text))


@pytest.fixture
def marks(tmp_path):
    store = MarkStore(tmp_path / "marks.sqlite")
    yield store
    store.close()


def test_marks_are_there_when_the_file_is_opened_again(marks, tmp_path):
    marks.change("", [own("dogs"), Mark("sae", 5, Kind.NOTE, value="barks\n“too”")])
    marks.close()
    again = MarkStore(tmp_path / "marks.sqlite")
    assert again.labels("sae", 5)[0].text == "dogs"
    assert again.value("sae", 5, Kind.NOTE) == "barks\n“too”"
    assert again.labels("another", 5) == ()
    again.close()


def test_an_own_label_comes_before_a_models_before_an_imported_one(marks):
    for source in (Source.IMPORTED, Source.OWN, Source.MODEL):
        marks.change("", [own(source, source=source)])
    found = [label.source for label in marks.labels("sae", 5)]
    assert found == [Source.OWN, Source.MODEL, Source.IMPORTED]


def test_while_a_label_is_taken_away_the_shipped_one_is_seen(marks):
    """The judges on the engine's thread read labels while those of the window change them."""
    marks.change("", [own("dogs")])
    known = MarkedEvidence(SampleEvidence(8), marks, "sae")
    assert known.label(5).text == "dogs"
    marks.undo()  # and nobody has looked again since
    assert known.label(5) == UNLABELLED
    assert known.untried() == [5]


def test_each_change_is_undone_as_a_whole_and_in_turn(marks):
    marks.change("first", [own("one", 1), own("two", 2)])
    marks.change("second", [own("ONE", 1), Mark("sae", 1, Kind.LIST, "pets")])
    assert marks.undoable == "second"
    assert marks.undo() == "second"
    assert marks.labels("sae", 1)[0].text == "one"
    assert marks.lists() == ()
    assert marks.undo() == "first"
    assert not marks.features("sae", 9, Kind.LABEL).any()
    assert marks.undo() == ""


def test_a_change_that_changes_nothing_cannot_be_undone(marks):
    marks.change("first", [own("one")])
    version = marks.version
    assert marks.change("again", [own("one")]) == 0
    assert (marks.undoable, marks.version) == ("first", version)


def test_labels_are_found_by_the_beginnings_of_their_words(marks):
    marks.change("", [own("barking dogs", 1), own("cats", 2)])
    assert marks.search('"do"*') == [("sae", 1)]
    marks.change("", [own("cats", 1)])
    assert marks.search('"do"*') == []
    marks.undo()
    assert marks.search('"do"*') == [("sae", 1)]


def test_a_change_that_fails_leaves_everything_as_it_was(marks):
    marks.change("", [own("one", 1)])

    def broken():
        yield own("ONE", 1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        marks.change("", broken())
    assert marks.labels("sae", 1)[0].text == "one"


def test_a_program_killed_while_writing_leaves_whole_changes(tmp_path):
    """Killed at any moment, each change is there with both its marks, or not at all."""
    script = f"""
        from desktop_scope.evidence.marks.store import MarkStore, label_value
        from desktop_scope.evidence.marks.types import Kind, Mark
        from pathlib import Path
        store = MarkStore(Path({str(tmp_path / "marks.sqlite")!r}))
        for n in range(1_000_000):
            store.change("", [Mark("sae", n, Kind.NOTE, value="a"), Mark("sae", n, Kind.LIST, "b")])
            print(n, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    ) as program:
        for line in program.stdout:
            last = int(line)
            if last >= 5:
                break
        os.kill(program.pid, signal.SIGKILL)
    store = MarkStore(tmp_path / "marks.sqlite")
    notes = store.features("sae", 1_000_000, Kind.NOTE)
    assert (notes == store.features("sae", 1_000_000, Kind.LIST, "b")).all()
    assert notes[: last + 1].all()
    assert not store.notes
    store.close()


def test_a_damaged_file_is_kept_aside(marks, tmp_path):
    marks.close()
    (tmp_path / "marks.sqlite").write_bytes(b"not a database at all" * 100)
    again = MarkStore(tmp_path / "marks.sqlite")
    assert "damaged" in again.notes[0]
    again.change("", [own("dogs")])
    again.close()
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")


def test_a_newer_version_s_file_is_left_alone(marks, tmp_path):
    marks.close()
    database = sqlite3.connect(tmp_path / "marks.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    again = MarkStore(tmp_path / "marks.sqlite")
    assert "newer" in again.notes[0]
    again.close()
    assert not list(tmp_path.glob("*.damaged-*"))


# ---- over the real evidence


@pytest.fixture
def mark(workbench):
    """Marks features of the demo pack; takes it all back afterwards."""
    catalogue, number = workbench.catalogue, workbench.catalogue.marks.done

    def ask(*changes: tuple, shown: tuple = ()):
        nonlocal number
        made = []
        for change in changes:
            number += 1
            made.append(Change(number, *change))
        return workbench.handle(MarkFeatures(tuple(made), shown), silent_job())

    yield ask
    while catalogue.marks.undo():
        pass
    catalogue.marked()


def test_an_own_label_is_seen_everywhere_at_once(workbench, mark):
    catalogue = workbench.catalogue
    shipped = catalogue.label(DOG)
    assert DOG in found(catalogue, "dog")
    card = catalogue.card(DOG)
    marked = mark((DOG, Kind.LABEL, Source.OWN, label_value("zwergspitz")), shown=(DOG,))
    assert dict(marked.labels)[DOG].text == "zwergspitz"
    assert catalogue.card(DOG).label.text == "zwergspitz"
    assert catalogue.card(DOG).marks.labels[-1].text == shipped.text
    assert found(catalogue, "zwerg")[0] == DOG
    assert DOG not in found(catalogue, "dog")
    assert catalogue.evidence[17].matching("zwerg").sum() == 1
    near = catalogue.card(card.neighbours[0].feature).neighbours
    assert "zwergspitz" in [n.label.text for n in near] or len(near) == 10
    mark((None,))
    assert catalogue.label(DOG) == shipped
    assert found(catalogue, "zwerg") == []


def test_stars_and_lists_are_there_as_filters(workbench, mark):
    marked = mark((DOG, Kind.LIST, STARS, ""), (DOG, Kind.LIST, "pets", ""))
    evidence = workbench.catalogue.evidence[17]
    assert set(marked.lists) == {STARS, "pets"}
    assert evidence.starred.sum() == evidence.listed("pets").sum() == 1
    assert evidence.starred[DOG.index]
    assert workbench.catalogue.card(DOG).marks.lists == ("pets",)


def test_no_change_is_made_twice(workbench, mark):
    mark((DOG, Kind.NOTE, "", "one"), (DOG, Kind.NOTE, "", "two"))
    done = workbench.catalogue.marks.done
    again = (Change(done), Change(done + 1))  # the first was made before; the second undoes
    workbench.handle(MarkFeatures(again), silent_job())
    assert workbench.catalogue.card(DOG).marks.note == "one"


# ---- laid over the evidence


_N = 6
_VALUES = {
    Kind.LABEL: (label_value("dogs"), label_value("cats"), None),
    Kind.LIST: ("", None),
    Kind.TRIAL: (trial_value(True, 2.0), trial_value(False, 0.0), None),
    Kind.VERDICT: ("[10, 9, 5, 1, 5, 0]", "[10, 2, 5, 4, 5, 3]", None),
}
_KEYS = {
    Kind.LABEL: ("own", "imported"),
    Kind.LIST: (STARS, "pets"),
    Kind.TRIAL: ("a text", "another"),
    Kind.VERDICT: ("detection by x\ndogs", "fuzzing by x\ncats"),
}
_marks = st.sampled_from(list(_VALUES)).flatmap(
    lambda kind: st.builds(
        Mark,
        st.just("sae"),
        st.integers(0, _N - 1),
        st.just(kind),
        st.sampled_from(_KEYS[kind]),
        st.sampled_from(_VALUES[kind]),
    )
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(_marks, st.just("undo"), st.integers(0, _N - 1)), max_size=12))
def test_looking_at_what_changed_comes_to_the_same_as_looking_at_all(steps):
    """Steps: marks, undoing the last change, and a court that tries a feature's label."""
    with tempfile.TemporaryDirectory() as folder:
        store = MarkStore(Path(folder) / "marks.sqlite")
        counts = [np.full(_N, n, np.uint8) for n in (10, 8, 5, 1, 5, 1)]
        seen = MarkedEvidence(SampleEvidence(_N), store, "sae")
        seen.judged = Verdicts(*counts)
        seen.refresh()
        for step in steps:
            if isinstance(step, Mark):
                store.change("", [step])
            elif step == "undo":
                store.undo()
            else:
                seen.take(step, "dogs", Verdict("words", 10, 10, 5, 0, 5, 0))
            for _, feature in store.touched:
                seen.refresh_one(feature)
            store.touched.clear()
            whole = MarkedEvidence(SampleEvidence(_N), store, "sae")
            whole.judged, whole.tried = seen.judged, dict(seen.tried)
            whole.refresh()
            np.testing.assert_array_equal(seen.scores, whole.scores)
            np.testing.assert_array_equal(seen.labelled, whole.labelled)
            np.testing.assert_array_equal(seen.starred, whole.starred)
            assert sorted(seen.untried()) == sorted(whole.untried())
            assert [seen.label(i) for i in range(_N)] == [whole.label(i) for i in range(_N)]
        store.close()


def test_what_another_program_wrote_is_noticed(tmp_path):
    one, other = (MarkStore(tmp_path / "marks.sqlite") for _ in range(2))
    one.change("", [own("dogs")])
    assert not one.changed_elsewhere()
    assert other.changed_elsewhere()
    assert not other.changed_elsewhere()
    one.close()
    other.close()
