"""Every feature's label, and search in them as one types.

The labels of a pack are made once (curated ones from its ``curated.jsonl``, all others by the
labeller) and kept in an SQLite file in the cache, with a full-text index over them. Rows lie in
order of trust, curated first, so the first matches of an unsorted query are the best ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.types import Bools, FeatureId, Ints
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.labeller import LABELLER_VERSION, Labeller
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import Hit, Label, Source

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE labels (
    rank INTEGER PRIMARY KEY,  -- 0 is the most trusted
    feature INTEGER NOT NULL UNIQUE,  -- layer * N + index
    text TEXT NOT NULL,
    source TEXT NOT NULL,
    confidence TEXT NOT NULL,
    kind TEXT NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = 'labels', content_rowid = 'rank', prefix = '1 2 3',
    tokenize = 'unicode61 remove_diacritics 2'
);
"""
_COLUMNS = "feature, labels.text, source, confidence, kind"
_CANDIDATES = 400  # matches that are ranked; they come most trusted first
_RANKED_FROM = 3  # letters: shorter queries match too much for ranking to mean anything
_TRUST = {"high": 0, "medium": 1, "low": 2}
_ASIDE = re.compile(r"; near | near |\(also |; also |weakly|mixed")

Progress = Callable[[int, int], None]
Check = Callable[[], None]


class LabelBook:
    """The labels of one pack. Use it from one thread at a time.

    Attributes:
        notes: What the user should know, such as that the index could not be saved.
    """

    def __init__(
        self, database: sqlite3.Connection, store: EvidenceStore, notes: tuple[str, ...] = ()
    ) -> None:
        self._database = database
        self._n_layers, self._n_features = store.n_layers, store.n_features
        self._texts: dict[int, tuple[str, ...]] = {}
        self._feature_of_rank: Ints | None = None
        self.notes = notes

    @classmethod
    def open(
        cls,
        store: EvidenceStore,
        pack: Path,
        progress: Progress = lambda done, total: None,
        check: Check = lambda: None,
    ) -> LabelBook:
        """The labels of a pack, from the cache or made now (about 25 seconds).

        Args:
            store: The pack's evidence.
            pack: Its folder.
            progress: Called with layers done and layers in all while labels are made.
            check: Called often while labels are made; raises to stop.

        Raises:
            ScopeError: The curated labels cannot be read.
        """
        path = paths.cache_dir() / "labels" / f"{_key(store, pack)}.sqlite"
        database = _open_existing(path, store.n_layers * store.n_features)
        if database is not None:
            return cls(database, store)
        rows = _rows(store, _read_curated(pack, store), progress, check)
        try:
            _save(path, rows)
            database = _open_existing(path, len(rows))
        except (OSError, sqlite3.Error):
            database = None
        if database is not None:
            return cls(database, store)
        database = sqlite3.connect(":memory:", check_same_thread=False)
        _fill(database, rows)
        note = f"The labels could not be saved in {path.parent}: they are made again next time."
        return cls(database, store, (note,))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def label(self, feature: FeatureId) -> Label:
        """One feature's label.

        Raises:
            ScopeError: There is no such feature.
        """
        query = f"SELECT {_COLUMNS} FROM labels WHERE feature = ?"
        row = self._database.execute(query, (self._number(feature),)).fetchone()
        return _label(row)

    def texts(self, layer: int) -> tuple[str, ...]:
        """The label texts of a layer, by feature index; kept once read."""
        if layer not in self._texts:
            first = self._number(FeatureId(layer, 0))
            rows = self._database.execute(
                "SELECT text FROM labels WHERE feature >= ? AND feature < ? ORDER BY feature",
                (first, first + self._n_features),
            )
            self._texts[layer] = tuple(text for (text,) in rows)
        return self._texts[layer]

    def kinds(self, layer: int) -> tuple[str, ...]:
        """The label kinds of a layer, by feature index."""
        first = self._number(FeatureId(layer, 0))
        rows = self._database.execute(
            "SELECT kind FROM labels WHERE feature >= ? AND feature < ? ORDER BY feature",
            (first, first + self._n_features),
        )
        return tuple(kind for (kind,) in rows)

    def search(
        self,
        query: str,
        layers: range | None = None,
        limit: int = 200,
        exclude_kinds: Collection[str] = (),
    ) -> list[Hit]:
        """Labels that hold every word of the query, each word being a prefix; best first.

        Anything may be typed: quotes and operators have no meaning. A feature's number
        (``17/3988``) finds that feature.

        Args:
            query: What was typed.
            layers: Only these layers.
            limit: At most this many.
            exclude_kinds: Kinds of label to leave out, such as “format”.
        """
        query = _clean(query)
        named = self._named(query)
        if named is not None:
            return [Hit(named, self.label(named), 0.0)]
        condition, values = _condition(query)
        if not condition:
            return []
        if layers is not None:
            span = (min(layers, default=0), max(layers, default=-1) + 1)
            condition += " AND feature >= ? AND feature < ?"
            values += [bound * self._n_features for bound in span]
        condition += "".join(" AND kind <> ?" for _ in exclude_kinds)
        ranked = len(query) >= _RANKED_FROM
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM {condition} ORDER BY labels.rank LIMIT ?",
            [*values, *exclude_kinds, max(_CANDIDATES, limit) if ranked else limit],
        ).fetchall()
        words = _words(query) if ranked else []
        hits = [
            Hit(FeatureId(*divmod(row[0], self._n_features)), label, _score(label, words))
            for row in rows
            for label in (_label(row),)
        ]
        if ranked:
            hits.sort(key=lambda hit: -hit.score)
        return hits[:limit]

    def matching(self, query: str) -> Bools:
        """Which features a query finds, [L, N]; all of them where it is empty."""
        query = _clean(query)
        found = np.zeros(self._n_layers * self._n_features, bool)
        named = self._named(query)
        condition, values = _condition(query)
        if named is not None:
            found[self._number(named)] = True
        elif not condition:
            found[:] = True
        else:
            rows = self._database.execute(f"SELECT labels.rank FROM {condition}", values)
            if condition.startswith("words"):  # the index alone answers
                rows = self._database.execute("SELECT rowid FROM words WHERE words MATCH ?", values)
            ranks = np.fromiter((rank for (rank,) in rows), np.int64)
            found[self._features_by_rank()[ranks]] = True
        return found.reshape(self._n_layers, self._n_features)

    def of_kind(self, kind: str) -> Bools:
        """Which features have a label of this kind, [L, N]."""
        rows = self._database.execute("SELECT feature FROM labels WHERE kind = ?", (kind,))
        found = np.zeros(self._n_layers * self._n_features, bool)
        found[np.fromiter((feature for (feature,) in rows), np.int64)] = True
        return found.reshape(self._n_layers, self._n_features)

    def _features_by_rank(self) -> Ints:
        if self._feature_of_rank is None:
            rows = self._database.execute("SELECT feature FROM labels ORDER BY rank")
            self._feature_of_rank = np.fromiter((feature for (feature,) in rows), np.int32)
        return self._feature_of_rank

    def _named(self, query: str) -> FeatureId | None:
        if not re.fullmatch(r"\s*[0-9]{1,6}/[0-9]{1,9}\s*", query):
            return None
        feature = FeatureId(*map(int, query.split("/")))
        return feature if self._exists(feature) else None

    def _exists(self, feature: FeatureId) -> bool:
        return 0 <= feature.sae < self._n_layers and 0 <= feature.index < self._n_features

    def _number(self, feature: FeatureId) -> int:
        if not self._exists(feature):
            raise ScopeError(
                f"There is no feature {feature.sae}/{feature.index}.",
                f"Layers go from 0 to {self._n_layers - 1}, "
                f"features from 0 to {self._n_features - 1}.",
            )
        return feature.sae * self._n_features + feature.index


# -- asking ---------------------------------------------------------------------------------


def _clean(query: str) -> str:
    """Without what SQLite cannot take: lone surrogates and NUL."""
    return query.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ").strip()


def _words(query: str) -> list[str]:
    return re.findall(r"[^\W_]+", query.lower())


def word_query(query: str) -> str:
    """What FTS5 is asked: every word of a query, each being a prefix; empty without words."""
    return " ".join(f'"{word}"*' for word in _words(query))


def _condition(query: str) -> tuple[str, list[object]]:
    """The tables and the condition of a query, with its values; empty for an empty query."""
    match = word_query(query)
    if match:
        return "words JOIN labels ON labels.rank = words.rowid WHERE words MATCH ?", [match]
    if query:  # only signs, which the word index does not hold
        return "labels WHERE instr(labels.text, ?) > 0", [query]
    return "", []


def _score(label: Label, words: Sequence[str]) -> float:
    """How well a label answers: trusted, about the words and about nothing else."""
    score = -1.0 * _TRUST[label.confidence] + 2.0 * (label.source is Source.CURATED)
    if not words:
        return score
    text = label.text.lower()
    main = _words(_ASIDE.split(text, maxsplit=1)[0])
    there = _words(text)
    score += 3.0 * (main[: len(words)] == list(words))
    score += 1.5 * sum(word in main for word in words) / len(words)
    score += 1.0 * sum(word in there for word in words) / len(words)
    score += 1.0 * sum(any(w.startswith(word) for w in main) for word in words) / len(words)
    return score - len(text) / 100


def _label(row: tuple[int, str, str, str, str]) -> Label:
    _, text, source, confidence, kind = row
    return Label(text, Source(source), confidence, kind)


# -- making ---------------------------------------------------------------------------------


def _key(store: EvidenceStore, pack: Path) -> str:
    """Changes with anything that the labels depend on."""
    key = hashlib.sha256(f"{_SCHEMA_VERSION} {LABELLER_VERSION}".encode())
    for name in ("pack.json", "curated.jsonl"):
        path = pack / name
        key.update(path.read_bytes() if path.exists() else b"-")
    for path in (pack / "corpus.safetensors", *sorted((pack / "evidence").glob("*"))):
        key.update(f"{path.name} {path.stat().st_size}".encode())
    for token in range(store.vocab_size):
        key.update(store.token_text(token).encode("utf-8", "surrogatepass") + b"\0")
    return key.hexdigest()[:32]


def _read_curated(pack: Path, store: EvidenceStore) -> dict[int, Label]:
    """Labels written by a reader, by feature number; none where the pack has none."""
    path = pack / "curated.jsonl"
    if not path.exists():
        return {}
    curated = {}
    try:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            layer, index, confidence = int(row["layer"]), int(row["index"]), row["confidence"]
            known = 0 <= layer < store.n_layers and 0 <= index < store.n_features
            if not known or confidence not in _TRUST:
                raise ValueError(f"feature {layer}/{index}, confidence {confidence}")
            label = Label(str(row["label"]), Source.CURATED, confidence, str(row["kind"]))
            curated[layer * store.n_features + index] = label
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScopeError(
            f"The curated labels of the pack cannot be read: {error}.",
            "Copy the pack again, or install Desktop Scope again if it is the demo pack.",
        ) from error
    return curated


_Row = tuple[int, str, str, str, str]


def _rows(
    store: EvidenceStore, curated: dict[int, Label], progress: Progress, check: Check
) -> list[_Row]:
    """All labels, most trusted first; features of the coarse SAE before those of the fine one."""
    rows = []
    for layer, labels in Labeller(store).layers(progress, check):
        for index, label in enumerate(labels):
            feature = layer * store.n_features + index
            best = curated.get(feature, label)
            order = (
                best.source is not Source.CURATED,
                best.kind == "various",
                _TRUST[best.confidence],
                index,
                layer,
            )
            rows.append((order, (feature, best.text, str(best.source), best.confidence, best.kind)))
    rows.sort()
    return [row for _, row in rows]


def _fill(database: sqlite3.Connection, rows: Iterable[_Row]) -> None:
    with database:
        database.executescript(_SCHEMA)
        database.executemany(
            "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?)",
            ((rank, *row) for rank, row in enumerate(rows)),
        )
        database.execute("INSERT INTO words (words) VALUES ('rebuild')")
        database.execute("INSERT INTO words (words) VALUES ('optimize')")


def _save(path: Path, rows: Iterable[_Row]) -> None:
    """Write to a file beside and rename it, so that a half-made one is never found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        with contextlib.closing(sqlite3.connect(name)) as database:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            _fill(database, rows)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _open_existing(path: Path, n_rows: int) -> sqlite3.Connection | None:
    """The finished file, or None where there is none that can be used."""
    if not path.is_file():
        return None
    database = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
    )
    try:
        (count,) = database.execute("SELECT count(*) FROM labels").fetchone()
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if count == n_rows and verdict == "ok":
            return database
    except sqlite3.Error:
        pass
    database.close()
    return None
