"""Keeps marks in one SQLite file of this user: safe against crashes, with undo.

Every change is one transaction together with what it takes to undo it, so that the file is
always whole, whatever happens at any moment.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.types import Bools
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.marks.types import PRECEDENCE, Kind, Mark
from desktop_scope.evidence.types import Label, Source, Trial

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE marks (
    id INTEGER PRIMARY KEY,
    sae TEXT NOT NULL,
    feature INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (sae, kind, feature, key)
);
CREATE TABLE journal (  -- what was there before each change; NULL where nothing was
    change INTEGER NOT NULL,
    title TEXT NOT NULL,
    sae TEXT NOT NULL,
    feature INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    before TEXT
);
CREATE INDEX changes ON journal (change);
CREATE TABLE saes (sae TEXT PRIMARY KEY, about TEXT NOT NULL);  -- for people, in exports
CREATE VIRTUAL TABLE words USING fts5 (
    text, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);
"""
_REMEMBERED = 100  # changes that can be undone
_UNSAID = frozenset({Kind.VERDICT})  # can be measured again: not worth undoing
_CONFIDENCE = {Source.OWN: "high", Source.MODEL: "low", Source.IMPORTED: "medium"}


class MarkStore:
    """The marks of one user. Use it from one thread at a time.

    Attributes:
        version: Grows with every change.
        done: The number of the last change that a window asked for.
        notes: What the user should know about how the file was opened.
        touched: SAEs and features whose marks have changed; whoever shows them empties it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or paths.data_dir() / "marks.sqlite"
        self.notes: tuple[str, ...] = ()
        self.version = self.done = 0
        self.touched: set[tuple[str, int]] = set()
        self._database = self._open()
        self._seen = -1
        self.changed_elsewhere()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # ---- reading

    def value(self, sae: str, feature: int, kind: Kind, key: str = "") -> str | None:
        """One mark's value; None where there is no such mark."""
        row = self._database.execute(
            "SELECT value FROM marks WHERE sae = ? AND kind = ? AND feature = ? AND key = ?",
            (sae, kind, feature, key),
        ).fetchone()
        return None if row is None else str(row[0])

    def of(self, sae: str, feature: int, kind: Kind) -> tuple[tuple[str, str], ...]:
        """Keys and values of one feature's marks of a kind, oldest first."""
        rows = self._database.execute(
            "SELECT key, value FROM marks WHERE sae = ? AND kind = ? AND feature = ? ORDER BY id",
            (sae, kind, feature),
        )
        return tuple((key, value) for key, value in rows)

    def labels(self, sae: str, feature: int) -> tuple[Label, ...]:
        """A feature's labels that are not the shipped one, the one that is shown first."""
        labels = [read_label(*row) for row in self.of(sae, feature, Kind.LABEL)]
        return tuple(sorted(labels, key=lambda label: PRECEDENCE.index(label.source)))

    def shown_texts(self, sae: str) -> dict[int, str]:
        """By feature, the text of the label that is shown, of those that have one here."""
        rows = self._database.execute(
            "SELECT feature, key, value FROM marks WHERE sae = ? AND kind = ?", (sae, Kind.LABEL)
        )
        best: dict[int, tuple[int, str]] = {}
        for feature, key, value in rows:
            label = read_label(key, value)
            ranked = (PRECEDENCE.index(label.source), label.text)
            best[feature] = min(best.get(feature, ranked), ranked)
        return {feature: text for feature, (_, text) in best.items()}

    def features(self, sae: str, n_features: int, kind: Kind, key: str | None = None) -> Bools:
        """Which features have a mark of a kind, [N]."""
        also, values = ("", []) if key is None else (" AND key = ?", [key])
        rows = self._database.execute(
            f"SELECT feature FROM marks WHERE sae = ? AND kind = ?{also}", [sae, kind, *values]
        )
        found = np.fromiter((feature for (feature,) in rows), np.int64)
        marked = np.zeros(n_features, bool)
        marked[found[found < n_features]] = True
        return marked

    def lists(self) -> tuple[str, ...]:
        """The names of all lists, most used first."""
        rows = self._database.execute(
            "SELECT key FROM marks WHERE kind = ? GROUP BY key ORDER BY count(*) DESC, key",
            (Kind.LIST,),
        )
        return tuple(name for (name,) in rows)

    def search(self, match: str, sae: str = "", limit: int = -1) -> list[tuple[str, int]]:
        """SAEs and features with a label of which an FTS5 query is true, each once.

        Args:
            match: What ``labels.word_query`` makes of typed words; nothing is found by none.
            sae: Only of this one.
        """
        if not match:
            return []
        also, values = (" AND sae = ?", [sae]) if sae else ("", [])
        return self._database.execute(
            "SELECT DISTINCT sae, feature FROM words JOIN marks ON marks.id = words.rowid "
            f"WHERE words MATCH ?{also} LIMIT ?",
            [match, *values, limit],
        ).fetchall()

    def everything(self, kinds: Sequence[Kind]) -> Iterator[Mark]:
        """All marks of some kinds."""
        holes = ", ".join("?" * len(kinds))
        rows = self._database.execute(
            f"SELECT sae, feature, kind, key, value FROM marks WHERE kind IN ({holes}) "
            "ORDER BY sae, feature, kind, key",
            list(kinds),
        )
        for sae, feature, kind, key, value in rows:
            yield Mark(sae, feature, Kind(kind), key, value)

    def about(self) -> dict[str, str]:
        """What is known of each SAE, for people."""
        return dict(self._database.execute("SELECT sae, about FROM saes"))

    @property
    def undoable(self) -> str:
        """What ``undo`` would take back; empty if there is nothing."""
        row = self._database.execute(
            "SELECT title FROM journal ORDER BY change DESC LIMIT 1"
        ).fetchone()
        return "" if row is None else str(row[0])

    def changed_elsewhere(self) -> bool:
        """Whether another program has written to the file since this was last asked."""
        before = self._seen
        (self._seen,) = self._database.execute("PRAGMA data_version").fetchone()
        return before != self._seen

    # ---- changing

    def know(self, sae: str, about: str) -> None:
        """Remember what people call an SAE, so that exports can say it."""
        if self.about().get(sae) != about:
            with self._changing():
                self._database.execute("INSERT OR REPLACE INTO saes VALUES (?, ?)", (sae, about))

    def change(self, title: str, marks: Iterable[Mark]) -> int:
        """Set or take away marks, all or none.

        Args:
            title: What was done, as undoing would name it.

        Returns:
            How many marks were really changed.

        Raises:
            ScopeError: The file cannot be written.
        """
        with self._changing():
            (last,) = self._database.execute("SELECT max(change) FROM journal").fetchone()
            number, changed, touched = (last or 0) + 1, 0, set()
            for mark in marks:
                before = self.value(mark.sae, mark.feature, mark.kind, mark.key)
                if before == mark.value:
                    continue
                self._put(mark)
                changed += 1
                touched.add((mark.sae, mark.feature))
                if mark.kind not in _UNSAID:
                    self._database.execute(
                        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (number, title, mark.sae, mark.feature, mark.kind, mark.key, before),
                    )
            self._database.execute("DELETE FROM journal WHERE change <= ?", (number - _REMEMBERED,))
        self.touched |= touched
        self.version += bool(touched)
        return changed

    def undo(self) -> str:
        """Take back the last change; returns what it was, or nothing."""
        title = self.undoable
        with self._changing():
            rows = self._database.execute(
                "SELECT sae, feature, kind, key, before FROM journal "
                "WHERE change = (SELECT max(change) FROM journal)"
            ).fetchall()
            for sae, feature, kind, key, before in rows:
                self._put(Mark(sae, feature, Kind(kind), key, before))
            self._database.execute(
                "DELETE FROM journal WHERE change = (SELECT max(change) FROM journal)"
            )
        self.touched |= {(sae, feature) for sae, feature, *_ in rows}
        self.version += bool(rows)
        return title

    def _put(self, mark: Mark) -> None:
        place = (mark.sae, mark.kind, mark.feature, mark.key)
        where = "WHERE sae = ? AND kind = ? AND feature = ? AND key = ?"
        row = self._database.execute(f"SELECT id FROM marks {where}", place).fetchone()
        if row is not None:
            self._database.execute("DELETE FROM marks WHERE id = ?", row)
            if mark.kind is Kind.LABEL:
                self._database.execute("DELETE FROM words WHERE rowid = ?", row)
        if mark.value is None:
            return
        made = self._database.execute(
            "INSERT INTO marks (sae, kind, feature, key, value) VALUES (?, ?, ?, ?, ?)",
            (*place, mark.value),
        )
        if mark.kind is Kind.LABEL:
            text = read_label(mark.key, mark.value).text
            self._database.execute(
                "INSERT INTO words (rowid, text) VALUES (?, ?)", (made.lastrowid, text)
            )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise ScopeError(
                f"{self.path} cannot be written: {error}.",
                "Make room or allow writing there, or name another folder in DESKTOP_SCOPE_DATA.",
            ) from error

    # ---- the file

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return self._in_memory(f"{self.path.parent} cannot be made: {error.strerror}")
        try:
            return _connect(str(self.path))
        except sqlite3.OperationalError as error:
            return self._in_memory(f"{self.path} cannot be opened: {error}")
        except sqlite3.DatabaseError:
            aside = self.path.with_suffix(f".damaged-{int(time.time())}.sqlite")
            self.path.replace(aside)
            self.notes = (
                f"The file with your labels and notes is damaged. It was kept as {aside.name}, "
                "and a new one begun.",
            )
            return _connect(str(self.path))

    def _in_memory(self, why: str) -> sqlite3.Connection:
        self.notes = (f"{why}: what you add is lost when you close Desktop Scope.",)
        return _connect(":memory:")


def _connect(name: str) -> sqlite3.Connection:
    """Open a file, and make its tables if it is new.

    Raises:
        sqlite3.DatabaseError: It is damaged, or of a version that is not known.
    """
    database = sqlite3.connect(name, timeout=10, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = FULL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT"
            )
        elif version != _SCHEMA_VERSION:
            raise sqlite3.OperationalError("it was made by a newer Desktop Scope")
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except sqlite3.Error:
        database.close()
        raise
    return database


def label_value(text: str, origin: str = "") -> str:
    """What is kept of a label."""
    return json.dumps({"text": text, "origin": origin} if origin else {"text": text})


def read_label(key: str, value: str) -> Label:
    """The label that a mark is."""
    source, kept = Source(key), json.loads(value)
    return Label(kept["text"], source, _CONFIDENCE[source], origin=kept.get("origin", ""))


def trial_value(said: bool, peak: float) -> str:
    """What is kept of a typed text."""
    return json.dumps({"said": said, "peak": peak})


def read_trial(key: str, value: str) -> Trial:
    """The trial that a mark is."""
    kept = json.loads(value)
    return Trial(key, bool(kept["said"]), float(kept["peak"]))
