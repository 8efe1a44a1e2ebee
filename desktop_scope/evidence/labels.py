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
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.types import Bools, FeatureId, Ints
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.labeller import LABELLER_VERSION, labels_of
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import Hit, Label, Source

if TYPE_CHECKING:
    from desktop_scope.evidence.own_texts import OwnTexts

_SCHEMA_VERSION = 2
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
CREATE TABLE in_order (features BLOB NOT NULL);  -- by rank, 4 bytes each: filters need them at once
"""
_COLUMNS = "feature, text, source, confidence, kind"
_CANDIDATES = 400  # matches that are ranked; they come most trusted first
_FIRST = 512  # matches fetched at first, mostly enough; then ever more
_AT_ONCE = 16_384  # rows fetched between two looks at whether to go on
_RANKED_FROM = 3  # letters: shorter queries match too much for ranking to mean anything
_TRUST = {"high": 0, "medium": 1, "low": 2}
_ASIDE = re.compile(  # from here on a label names what it is not mainly about
    r"; near | near |\(also |; also |weakly|mixed|^(?:various|dense|unclear): |"
    r"(?:'[^' ]*-'|'-[^' ]*'|containing '[^']*') \("  # words with a piece of spelling in common
)

Progress = Callable[[int, int], None]
Check = Callable[[], None]


class LabelBook:
    """The labels of one pack, or of one SAE of one's own. Use it from one thread at a time.

    Attributes:
        notes: What the user should know, such as that the index could not be saved.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        store: EvidenceStore | OwnTexts,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._database = database
        self._n_layers, self._n_features = store.n_layers, store.n_features
        self._texts: dict[int, tuple[str, ...]] = {}
        self._feature_of_rank: Ints | None = None
        self._matched: tuple[str, Bools] | None = None  # the last query's
        self.notes = notes

    @classmethod
    def open(
        cls,
        store: EvidenceStore | OwnTexts,
        pack: Path | None,
        progress: Progress = lambda done, total: None,
        check: Check = lambda: None,
    ) -> LabelBook:
        """The labels of a pack or an SAE, from the cache or made now (a pack's in 25 seconds).

        Args:
            store: The evidence.
            pack: The pack's folder; None for evidence of one's own.
            progress: Called with layers done and layers in all while labels are made.
            check: Called often while labels are made; raises to stop.

        Raises:
            ScopeError: The curated labels cannot be read.
        """
        path = paths.cache_dir() / "labels" / f"{_key(store, pack)}.sqlite"
        database = _open_existing(path, store.n_layers * store.n_features)
        if database is not None:
            return cls(database, store)
        curated = {} if pack is None else _read_curated(pack, store)
        rows = _rows(store, curated, progress, check)
        try:
            _save(path, rows)
            database = _open_existing(path, len(rows))
        except (OSError, sqlite3.Error):
            database = None
        if database is not None:
            return cls(database, store)
        database = sqlite3.connect(":memory:", check_same_thread=False)
        fill(database, rows)
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
        keep: Bools | None = None,
        limit: int = 200,
        check: Check = lambda: None,
    ) -> list[Hit]:
        """Labels that hold every word of the query, each word being a prefix; best first.

        Anything may be typed: quotes and operators have no meaning. A feature's number
        (``17/3988``) finds that feature.

        Args:
            query: What was typed.
            keep: Only these features, [L, N]; None for all.
            limit: At most this many.
            check: Called often; raises to stop.
        """
        query = _clean(query)
        named = self._named(query)
        if named is not None:
            kept = keep is None or keep[named]
            return [Hit(named, self.label(named), 0.0)] if kept else []
        ranked = len(query) >= _RANKED_FROM
        ranks = self._first_ranks(query, keep, max(_CANDIDATES, limit) if ranked else limit, check)
        words = _words(query) if ranked else []
        hits = [
            Hit(FeatureId(*divmod(row[0], self._n_features)), label, *_score(label, words))
            for row in self._rows(ranks)
            for label in (_label(row),)
        ]
        if ranked:
            hits.sort(key=lambda hit: (hit.aside, -hit.score))
        return hits[:limit]

    def _first_ranks(self, query: str, keep: Bools | None, limit: int, check: Check) -> list[int]:
        """The most trusted labels that a query finds."""
        found: list[int] = []
        kept = None if keep is None or keep.all() else keep.reshape(-1)
        for ranks in self._ranks(query):
            check()
            if kept is not None:
                ranks = ranks[kept[self._features_by_rank()[ranks]]]
            found += ranks[: limit - len(found)].tolist()
            if len(found) >= limit:
                break
        return found

    def _ranks(self, query: str) -> Iterator[Ints]:
        """All labels that a query finds, most trusted first, some at a time."""
        value = word_query(query)
        if value:
            # The index gives them in this order by itself, and as they are asked for.
            statement = "SELECT rowid FROM words WHERE words MATCH ?"
        elif query:  # only signs, which the word index does not hold
            statement = "SELECT rank FROM labels WHERE instr(text, ?) > 0 ORDER BY rank"
            value = query
        else:
            return
        rows, size = self._database.execute(statement, (value,)), _FIRST
        while part := rows.fetchmany(size):
            yield np.fromiter((rank for (rank,) in part), np.int32, len(part))
            size = min(2 * size, _AT_ONCE)

    def _rows(self, ranks: Sequence[int]) -> Iterator[tuple[int, str, str, str, str]]:
        for start in range(0, len(ranks), _CANDIDATES):
            part = ranks[start : start + _CANDIDATES]
            marks = ", ".join("?" * len(part))
            query = f"SELECT {_COLUMNS} FROM labels WHERE rank IN ({marks}) ORDER BY rank"
            yield from self._database.execute(query, part)

    def matching(self, query: str, check: Check = lambda: None) -> Bools:
        """Which features a query finds, [L, N]; all of them where it is empty."""
        if self._matched is None or self._matched[0] != query:
            self._matched = (query, self._find_all(_clean(query), check))
        return self._matched[1]

    def _find_all(self, query: str, check: Check) -> Bools:
        found = np.full(self._n_layers * self._n_features, not query)
        named = self._named(query)
        if named is not None:
            found[self._number(named)] = True
        else:
            for ranks in self._ranks(query):
                check()
                found[self._features_by_rank()[ranks]] = True
        return found.reshape(self._n_layers, self._n_features)

    def in_order(self) -> Iterator[tuple[str, str, FeatureId]]:
        """Text, kind and feature of every label, the most trusted first."""
        first = 0
        while True:
            rows = self._database.execute(
                "SELECT text, kind, feature FROM labels WHERE rank >= ? ORDER BY rank LIMIT ?",
                (first, _AT_ONCE),
            ).fetchall()
            if not rows:
                return
            first += len(rows)
            yield from (
                (text, kind, FeatureId(*divmod(feature, self._n_features)))
                for text, kind, feature in rows
            )

    def of_kind(self, kind: str) -> Bools:
        """Which features have a label of this kind, [L, N]."""
        rows = self._database.execute("SELECT feature FROM labels WHERE kind = ?", (kind,))
        found = np.zeros(self._n_layers * self._n_features, bool)
        found[np.fromiter((feature for (feature,) in rows), np.int64)] = True
        return found.reshape(self._n_layers, self._n_features)

    def _features_by_rank(self) -> Ints:
        if self._feature_of_rank is None:
            (features,) = self._database.execute("SELECT features FROM in_order").fetchone()
            self._feature_of_rank = np.frombuffer(features, "<i4")
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
    """What FTS5 is asked: every word of a query, each being a prefix; empty without words.

    A plural also finds its singular: labels name one of a kind.
    """
    parts = []
    for word in _words(query):
        one = _singular(word)
        parts.append(f'"{word}"*' if one == word else f'("{word}"* OR "{one}")')
    return " AND ".join(parts)


@lru_cache(maxsize=16_384)
def _singular(word: str) -> str:
    """An English noun's singular, roughly; other words as they are."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "suiy" else word


def _score(label: Label, words: Sequence[str]) -> tuple[float, bool]:
    """How well a label answers: trusted, about the words and about nothing else.

    And whether it names a word only in passing, such as among words that begin alike.
    """
    score = -1.0 * _TRUST[label.confidence] + 2.0 * (label.source is Source.CURATED)
    if not words:
        return score, False
    text = label.text.lower()
    there = [_singular(word) for word in _words(text)]
    aside = _ASIDE.search(text)
    main = there if aside is None else [_singular(w) for w in _words(text[: aside.start()])]
    words = [_singular(word) for word in words]
    score += 3.0 * (main[: len(words)] == list(words))
    score += 1.5 * sum(word in main for word in words) / len(words)
    score += 1.0 * sum(word in there for word in words) / len(words)
    begun = sum(any(w.startswith(word) for w in main) for word in words)
    score += 1.0 * begun / len(words)
    return score - len(text) / 100, begun < len(words)


def _label(row: tuple[int, str, str, str, str]) -> Label:
    _, text, source, confidence, kind = row
    return Label(text, Source(source), confidence, kind)


# -- making ---------------------------------------------------------------------------------


def _key(store: EvidenceStore | OwnTexts, pack: Path | None) -> str:
    """Changes with anything that the labels depend on."""
    key = hashlib.sha256(f"{_SCHEMA_VERSION} {LABELLER_VERSION}".encode())
    if pack is None:
        key.update(store.fingerprint)  # type: ignore[union-attr]
    else:
        for name in ("pack.json", "curated.jsonl"):
            path = pack / name
            key.update(path.read_bytes() if path.exists() else b"-")
        for path in (pack / "corpus.safetensors", *sorted((pack / "evidence").glob("*"))):
            key.update(f"{path.name} {path.stat().st_size}".encode())
    for token in range(store.vocab_size):
        key.update(store.token_text(token).encode("utf-8", "surrogatepass") + b"\0")
    return key.hexdigest()[:32]


def _read_curated(pack: Path, store: EvidenceStore | OwnTexts) -> dict[int, Label]:
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
    store: EvidenceStore | OwnTexts, curated: dict[int, Label], progress: Progress, check: Check
) -> list[_Row]:
    """All labels, most trusted first; features of the coarse SAE before those of the fine one."""
    rows = []
    for layer, labels in labels_of(store, progress, check):
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


def fill(database: sqlite3.Connection, rows: Iterable[_Row]) -> None:
    """Write labels, most trusted first, and the index of their words."""
    with database:
        database.executescript(_SCHEMA)
        features = array("i")

        def ranked() -> Iterator[tuple[int, int, str, str, str, str]]:
            for rank, row in enumerate(rows):
                features.append(row[0])
                yield (rank, *row)

        database.executemany("INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?)", ranked())
        in_order = np.array(features, "<i4").tobytes()
        database.execute("INSERT INTO in_order VALUES (?)", (in_order,))
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
            fill(database, rows)
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
