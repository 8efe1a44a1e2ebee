"""What a window lists of the library: the models at one side, what goes with one at the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.worker import Job
from desktop_scope.library import details
from desktop_scope.library.entries import Library, ModelEntry, PackEntry, SaeEntry
from desktop_scope.library.folders import Recent, Shelf, add_folder, note_opened, read_shelf
from desktop_scope.library.matching import Match, fit, same_model
from desktop_scope.library.model_names import name_of
from desktop_scope.library.requests import ScanLibrary
from desktop_scope.wording import counted

_RECENT_LISTED = 4  # the models are what one looks for here; the menu has them all
_READ_AT_ONCE = 64  # SAE files between two listings


@dataclass(frozen=True)
class LookAround(ScanLibrary):
    """Scan the library; a higher ``attempt`` looks again."""

    attempt: int = 0


@dataclass(frozen=True)
class ReadMore(Request):
    """Read what some SAE files say of themselves, into the library.

    Attributes:
        version: Of the library, which is too large to compare.
    """

    kind = "details"
    replaces = frozenset({"details"})
    worker = "search"

    version: int
    library: Library = field(compare=False)
    saes: tuple[SaeEntry, ...]


@dataclass(frozen=True)
class KeepShelf(Request):
    """Remember folders and what was opened, and recall it all."""

    kind = "shelf"
    replaces = frozenset({"shelf"})

    folders: tuple[Path, ...] = ()
    opened: Recent | None = None


@dataclass(frozen=True)
class Browse(Request):
    """List what there is.

    Attributes:
        version: Of the library, which is too large to compare.
        model: What is listed of SAEs goes with it.
        words: Only what holds all of them.
        opened: SAE files, folders and packs that are open with this model; listed first.
    """

    kind = "browse"
    replaces = frozenset({"browse"})

    version: int
    library: Library = field(compare=False)
    shelf: Shelf
    model: ModelEntry | None
    words: str
    opened: tuple[Path, ...]


@dataclass(frozen=True)
class Openable:
    """A model, a pack or something recent: what can be opened by itself.

    Attributes:
        sort: ``recent``, ``pack`` or ``model``.
        about: A few words below the title.
        model: Its entry, if it is a model.
    """

    sort: str
    title: str
    about: str
    workspace: Workspace
    model: ModelEntry | None = None
    problem: str = ""


@dataclass(frozen=True)
class Attachable:
    """SAEs that can be opened with a model, by the path to open.

    Attributes:
        about: A few words below the title.
        names: The SAEs in it, as files name them.
        pack: Whether it is a pack.
    """

    path: Path
    title: str
    about: str
    names: tuple[str, ...] = ()
    pack: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """What is listed.

    Attributes:
        models: Recent ones, packs, models.
        saes: What goes with the model, the surest first.
        unread: Some of those of which nothing is known yet.
    """

    models: tuple[Openable, ...] = ()
    saes: tuple[Attachable, ...] = ()
    unread: tuple[SaeEntry, ...] = ()


def keep_shelf(request: KeepShelf, job: Job) -> Shelf:
    """Remember, and recall.

    Raises:
        ScopeError: A folder is missing, or nothing can be written.
    """
    for folder in request.folders:
        add_folder(folder)
    if request.opened is not None:
        note_opened(request.opened)
    return read_shelf()


def read_more(request: ReadMore, job: Job) -> Library:
    """The library with the details of some of its SAEs."""
    read = details.read_details(request.saes, job.progress, job.check)
    return request.library.with_saes(read)


def browse(request: Browse, job: Job) -> Listing:
    """List what there is."""
    found = request.library.matching(request.words)
    models = tuple(_openable(request, found))
    if request.model is None:
        return Listing(models)
    # Words that name the model need not be in its SAEs' names, too.
    words = request.words.casefold().split()
    left = " ".join(word for word in words if word not in request.model.id.casefold())
    job.check()
    packs, saes, unread = _attachable(request.model, request.library.matching(left), job)
    listed = {one.path: one for one in (*packs, *saes)}
    everything = {one.path: one for one in _packs_of(request.model, request.library)}
    opened = tuple(
        listed.get(path) or everything.get(path) or Attachable(path, path.name, str(path))
        for path in request.opened
    )
    others = (one for one in listed.values() if one.path not in request.opened)
    return Listing(models, (*opened, *others), tuple(unread[:_READ_AT_ONCE]))


def _openable(request: Browse, found: Library) -> Iterator[Openable]:
    words = request.words.casefold().split()
    there = (recent for recent in request.shelf.recent if recent.model.exists())
    for recent in islice(there, _RECENT_LISTED):
        name, saes = name_of(recent.model), sae_names(recent.saes)
        if all(word in f"{name} {saes}".casefold() for word in words):
            yield Openable("recent", name, saes, Workspace(recent.saes, recent.model))
    for pack in found.packs:
        about = (
            f"{counted(pack.n_saes, 'SAE')}, {pack.n_features:,} features with examples and labels"
        )
        workspace = Workspace((pack.path,))
        yield Openable("pack", pack.id, about, workspace, problem=pack.problem)
    for model in found.models:
        yield Openable(
            "model", model.id, _size(model), Workspace(model=model.path), model, model.problem
        )


def _attachable(
    model: ModelEntry, library: Library, job: Job
) -> tuple[list[Attachable], list[Attachable], list[SaeEntry]]:
    in_packs = {pack.path for pack in library.packs}
    listed: list[tuple[Match, Attachable]] = []
    unread = []
    for sae in library.saes:
        job.check()
        inside = sae.path.parent in in_packs or sae.path.parent.parent in in_packs
        found = None if inside else fit(model, sae)
        if found is not None:
            listed.append((found.match, _described(sae, found.reason)))
            if found.match is Match.UNKNOWN:
                unread.append(sae)
        elif sae.problem and not inside:
            listed.append((Match.UNKNOWN, replace(_described(sae, ""), problem=sae.problem)))
    listed.sort(key=lambda one: one[0])
    return list(_packs_of(model, library)), [one for _, one in listed], unread


def _packs_of(model: ModelEntry, library: Library) -> Iterator[Attachable]:
    for pack in library.packs:
        if same_model(pack.model, model.id):
            yield _of_pack(pack)


def _of_pack(pack: PackEntry) -> Attachable:
    saes = counted(pack.n_saes, "SAE")
    about = f"pack with {saes}, {pack.n_features:,} features with examples and labels"
    words = "  ·  ".join(filter(None, [about, pack.figures]))
    return Attachable(pack.path, pack.id, words, pack=True, problem=pack.problem)


def _described(sae: SaeEntry, reason: str) -> Attachable:
    parts = [*_inside(sae), reason.removesuffix(".").lower(), size_words(sae.bytes)]
    names = tuple(one.name for one in sae.details)
    return Attachable(sae.path, sae.id, "  ·  ".join(filter(None, parts)), names)


def size_words(n_bytes: float) -> str:
    """Bytes for people."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def _inside(sae: SaeEntry) -> list[str]:
    """Where it reads, unless its name says so, how wide it is, and its kind."""
    if not sae.details:
        return []
    first, more = sae.details[0], len(sae.details) - 1
    hook = first.hook_name
    if first.writes != first.reads:
        hook += f" → {first.writes[0]}"
    also = f" and {more} more" if more else ""
    where = [] if hook in sae.id and not more else [f"{hook}{also}"]
    return [*where, f"{first.d_sae:,} features", first.architecture]


def _size(model: ModelEntry) -> str:
    layers = f"{counted(model.n_layers, 'layer')}  ·  " if model.n_layers else ""
    kind = "GGUF  ·  " if model.path.suffix.lower() == ".gguf" else ""
    return f"{layers}{kind}{size_words(model.bytes)}"


def sae_names(saes: tuple[Path, ...]) -> str:
    """The first of some SAEs, and how many more there are."""
    if not saes:
        return "no SAE"
    more = f" and {len(saes) - 1} more" if len(saes) > 1 else ""
    return f"{saes[0].name}{more}"
