"""Text to rows of tokens: at most 256 each, documents never mixed within one."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from desktop_scope import paths
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.rows import Row
from desktop_scope.evidence.store import PADDING, EvidenceStore
from desktop_scope.library.pack import read_pack

WIDTH = 256  # tokens of a row at most, the model's first token among them
_PIECE = 8192  # characters that are tokenised at once, and of a text file that count as a document
_ASIDE = 8  # of a text in many documents every so many-th one is left aside, for the court
_MANY = 2 * _ASIDE
_SHORTEST = 8  # characters: shorter ones that the model cannot read are left out
_SUFFIXES = (".txt", ".md", ".jsonl", ".parquet")
_LINES_AT_ONCE = 1024  # of a .parquet file

LITTLE = (
    "The built-in text is only about 2,000 words: most features will not be seen on it. "
    "Give more with --corpus, such as a folder of .txt, .md, .jsonl or .parquet files."
)


class Corpus(Protocol):
    """Rows of tokens that come in the same order every time.

    Attributes:
        key: Another one where the text or its order is another.
    """

    key: str

    def rows(self, document: int = 0) -> Iterator[Row]:
        """The rows from the beginning of a document on."""


class PackCorpus:
    """The corpus of a pack, for its own model: every row is a document.

    The rows come shuffled, always alike, so that the first of them are a fair sample of all.
    """

    def __init__(self, pack: Path, model: LanguageModel) -> None:
        self._corpus = EvidenceStore(pack, model.texts).corpus
        self._order = np.random.default_rng(0).permutation(len(self._corpus.tokens))
        self.key = hashlib.sha256(self._corpus.tokens.tobytes()).hexdigest()

    def rows(self, document: int = 0) -> Iterator[Row]:
        """The rows from one of them on."""
        corpus = self._corpus
        for n, row in enumerate(self._order[document:].tolist(), document):
            ids = corpus.tokens[row][corpus.tokens[row] != PADDING].astype(np.int32)
            yield Row(ids, int(corpus.start[row]), n, (n + 1) / len(corpus.tokens))


class TextCorpus:
    """Texts, tokenised as they come.

    Args:
        texts: Called for every pass; gives the documents in order.
        key: Another one for other texts.
        n_characters: Of all of them.
        model: Whose tokens they become.
        many: There are so many documents that some can be left aside.
    """

    def __init__(
        self,
        texts: Callable[[], Iterator[str]],
        key: str,
        n_characters: int,
        model: LanguageModel,
        many: bool = False,
    ) -> None:
        self.key, self._many = key, many
        self._texts, self._total, self._model = texts, n_characters, model
        told = model.encode(Prompt("a", chat=False))
        self._first = [i for i, own in zip(told.ids, told.own, strict=True) if not own][:1]
        self._width = min(WIDTH, model.info.context)

    def rows(self, document: int = 0) -> Iterator[Row]:
        """The rows from the beginning of a document on."""
        done = 0
        for n, text in enumerate(self._texts()):
            done += len(text)
            aside = self._many and n % _ASIDE == _ASIDE - 1
            for ids in self._rows_of(text) if n >= document else ():
                yield Row(ids, len(self._first), n, done / self._total, aside)

    def _rows_of(self, text: str) -> Iterator[NDArray[np.int32]]:
        step = self._width - len(self._first)
        for begin in range(0, len(text), _PIECE):
            for ids in self._tokens(text[begin : begin + _PIECE]):
                for at in range(0, len(ids), step):
                    yield np.array([*self._first, *ids[at : at + step]], np.int32)

    def _tokens(self, text: str) -> Iterator[list[int]]:
        """Token ids, in as many parts as the model's context makes necessary."""
        if not text.strip():
            return
        try:
            ids = self._model.encode(Prompt(text, chat=False)).ids
        except ScopeError:
            if len(text) >= _SHORTEST:
                half = len(text) // 2
                cut = max(text.rfind(" ", 1, half), 1) if " " in text[1:half] else half
                yield from self._tokens(text[:cut])
                yield from self._tokens(text[cut:])
            return
        yield ids[len(self._first) :]


class _Line(msgspec.Struct):
    """A line of a .jsonl file; other fields are left alone."""

    text: str


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_LINE = msgspec.json.Decoder(_Line)


def text_corpus(given: Sequence[Path], model: LanguageModel, job: Job) -> TextCorpus:
    """Files, or all those in folders, of .txt, .md, .jsonl and .parquet (field ``text``).

    A line of a .jsonl or .parquet file is a document; so are a text file, or each 8,192 characters
    of it where it is longer. All is read once beforehand, so that a bad line is not found after
    hours. Where there are many documents, every eighth is left aside for judging labels.

    Raises:
        ScopeError: A file cannot be read, or there is no text.
        Cancelled: The job was.
    """
    files = [file for path in given for file in _files_of(path)]
    n_characters, n_documents, said = 0, 0, False
    for n, file in enumerate(files):
        job.progress(n, len(files), "Looking through the corpus")
        for text in _documents(file):
            job.check()
            n_characters += len(text)
            n_documents += 1
            said = said or bool(text.strip())
    if not said:
        raise ScopeError(
            f"There is no text in {', '.join(map(str, given))}.",
            f"Give files that end in {', '.join(_SUFFIXES)}, or folders of them.",
        )
    stats = [(str(file.resolve()), file.stat()) for file in files]
    told = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]

    def texts() -> Iterator[str]:
        return itertools.chain.from_iterable(map(_documents, files))

    key = hashlib.sha256(repr(told).encode()).hexdigest()
    return TextCorpus(texts, key, n_characters, model, n_documents >= _MANY)


def default_corpus(model: LanguageModel) -> tuple[Corpus, str]:
    """The demo pack's corpus for the demo model, else the built-in text; and what to say of it."""
    about = read_pack(paths.demo_pack()).model
    info = model.info
    same = (info.n_layers, info.d_model) == (about.n_layers, about.d_model)
    if same and info.id == about.id and len(model.texts) >= about.vocab_size:
        return PackCorpus(paths.demo_pack(), model), ""
    text = (paths.resources() / "check_text.txt").read_text("utf-8")
    parts = [part for part in text.split("\n\n") if part.strip()]
    key = hashlib.sha256(text.encode()).hexdigest()
    return TextCorpus(lambda: iter(parts), key, sum(map(len, parts)), model), LITTLE


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if path.suffix.lower() in _SUFFIXES:
        return [path]
    raise ScopeError(
        f"{path} is no text that we know.",
        f"Give files that end in {', '.join(_SUFFIXES)}, or folders of them.",
    )


def _documents(path: Path) -> Iterator[str]:
    try:
        if path.suffix.lower() == ".jsonl":
            with path.open("rb") as lines:
                yield from _of_lines(path, lines)
        elif path.suffix.lower() == ".parquet":
            yield from _of_table(path)
        else:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                text = ""
                while line := file.readline(_PIECE):
                    if len(text) + len(line) > _PIECE:
                        yield text
                        text = ""
                    text += line
                yield text
    except OSError as error:
        raise ScopeError(
            f"{path} cannot be read: {error.strerror}.", "Check that you may read it."
        ) from error


def _of_table(path: Path) -> Iterator[str]:
    """The column ``text`` of a .parquet file, some lines at a time."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ScopeError(
            f"{path} is a .parquet file, and what reads these is not installed.",
            "pip install pyarrow, or give the text as .jsonl or .txt.",
        ) from None
    try:
        with parquet.ParquetFile(path, memory_map=True) as table:
            if table.schema_arrow.get_field_index("text") < 0:
                raise ScopeError(
                    f"{path} has no column “text”.",
                    f"It has {', '.join(table.schema_arrow.names)}: rename the one with the text.",
                )
            for batch in table.iter_batches(_LINES_AT_ONCE, columns=["text"]):
                yield from (str(text) for text in batch.column(0).to_pylist() if text)
    except pyarrow.ArrowException as error:
        raise ScopeError(f"{path} cannot be read: {error}.", "Get it again.") from error


def _of_lines(path: Path, lines: Iterator[bytes]) -> Iterator[str]:
    for n, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            yield _LINE.decode(line).text
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ScopeError(
                f"Line {n + 1} of {path} is no JSON object with a “text”: {error}.",
                "Mend it or take it out; every line must be like {“text”: “…”}.",
            ) from error
