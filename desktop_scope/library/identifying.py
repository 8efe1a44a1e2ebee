"""What files and folders are that a person drops on the window or chooses: what to open then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.library import details
from desktop_scope.library.entries import Library, ModelEntry, SaeEntry
from desktop_scope.library.inventory import find_model
from desktop_scope.library.matching import fit, same_model
from desktop_scope.library.model_files import gguf_model, model_in
from desktop_scope.library.pack import is_pack, read_pack
from desktop_scope.library.scan import scan

_MOST_SAES = 400  # more is a whole cache, chosen by mistake
_OF_MODELS = {"config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json"}


@dataclass(frozen=True)
class Identify(Request):
    """What to open, given some paths.

    Attributes:
        opened: What is open now; SAEs are added to it.
        model: The model that is open now, if it is loaded.
        waits: Whether a pack waits for its model's file.
        attempt: Tells the same paths from those dropped before.
    """

    kind = "identify"
    replaces = frozenset({"identify"})

    paths: tuple[Path, ...]
    opened: Workspace | None
    model: ModelEntry | None
    waits: bool
    attempt: int


def identify(request: Identify, job: Job) -> Workspace:
    """The workspace that the paths ask for.

    Raises:
        ScopeError: They are nothing that we know, do not go together, or not with what is open.
        Cancelled: The job was.
    """
    found = [_look_at(path.expanduser().absolute(), job) for path in request.paths]
    models = list({model.path: model for one in found for model in one.models}.values())
    packs = [pack.path for one in found for pack in one.packs]
    inside = set(packs)
    saes = [
        sae
        for one in found
        for sae in one.saes
        if not inside & {sae.path, *sae.path.parents}
    ]  # fmt: skip
    if len(models) > 1:
        raise ScopeError(
            f"There are {len(models)} models in there, and one at a time can be open.",
            "Add the folder to the library, and choose one of them there.",
        )
    if len(saes) > _MOST_SAES:
        raise ScopeError(f"There are {len(saes):,} SAEs in there.", "Choose a smaller folder.")
    saes = list(details.read_details(saes, job.progress, job.check))
    _refuse_broken(models, saes)
    attached = (*packs, *(sae.path for sae in saes))
    if not models and not attached:
        raise _unknown(", ".join(path.name for path in request.paths))
    if models:
        return _with_model(request, models[0], packs, saes)
    return _beside_what_is_open(request, packs, saes)


def _unknown(names: str) -> ScopeError:
    return ScopeError(
        f"{names} is neither a model nor an SAE that Desktop Scope can read.",
        "Choose a model’s folder, a GGUF file, an SAE’s file or folder, a pack or a recipe.",
    )


def _with_model(
    request: Identify, model: ModelEntry, packs: list[Path], saes: list[SaeEntry]
) -> Workspace:
    if request.waits and request.opened and model.path.suffix.lower() == ".gguf" and not saes:
        return replace(request.opened, model=model.path)
    _refuse_unfit(model, saes)
    return Workspace((*packs, *(sae.path for sae in saes)), model.path)


def _beside_what_is_open(request: Identify, packs: list[Path], saes: list[SaeEntry]) -> Workspace:
    here, opened = request.model, request.opened
    if here is None or opened is None or any(not _belongs(pack, here) for pack in packs):
        if packs:  # it brings its own model
            return Workspace((*packs, *(sae.path for sae in saes)))
        if here is None or opened is None:
            return _with_its_own_model(saes)
    _refuse_unfit(here, saes)
    added = (path for path in (*packs, *(sae.path for sae in saes)) if path not in opened.saes)
    return replace(opened, saes=(*opened.saes, *added))


def _belongs(pack: Path, model: ModelEntry) -> bool:
    return same_model(read_pack(pack).model.id, model.id)


def _with_its_own_model(saes: list[SaeEntry]) -> Workspace:
    """Open the model that the SAEs name, if it is on this machine."""
    named = {one.model for sae in saes for one in sae.details if one.model}
    model = find_model(named.pop()) if len(named) == 1 else None
    if model is None:
        made = sorted(one.model for sae in saes for one in sae.details if one.model)
        which = f"{made[0]}, which was not found on this machine" if made else "no named model"
        raise ScopeError(
            f"{saes[0].path.name} is an SAE for {which}, and no model is open.",
            "Open its model first, then the SAE.",
        )
    return Workspace(tuple(sae.path for sae in saes), model.path)


def _refuse_broken(models: list[ModelEntry], saes: list[SaeEntry]) -> None:
    broken = [(one.path, one.problem) for one in models if one.problem]
    broken += [(one.path, one.problem) for one in saes if one.problem]
    for path, problem in broken:
        raise ScopeError(f"{path.name} cannot be opened: {problem}", "Get it again.")


def _refuse_unfit(model: ModelEntry, saes: list[SaeEntry]) -> None:
    for sae in saes:
        if fit(model, sae) is None:
            one = sae.details[0]
            made = f"; it was made for {one.model}" if one.model else ""
            raise ScopeError(
                f"{sae.path.name} does not go with {model.id}: it reads {one.hook_name} with "
                f"{one.d_in} numbers, where the model has {model.n_layers} layers of "
                f"{model.d_model}{made}.",
                "Open it with the model that it was made for.",
            )


def _look_at(path: Path, job: Job) -> Library:
    """What is at a path: in a folder and below, or what a file is or is a part of.

    Raises:
        ScopeError: There is nothing there, or it may not be read.
    """
    if path.is_dir():
        return scan([path], job.check, job.progress)
    try:
        return _look_at_file(path)
    except OSError as error:
        raise ScopeError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def _look_at_file(path: Path) -> Library:
    with os.scandir(path.parent) as entries:
        files = {entry.name: entry for entry in entries if entry.is_file()}
    if path.suffix.lower() == ".gguf" and (model := gguf_model(path, files, path.stem)):
        return Library(models=(model,))
    if path.name == "pack.json" and is_pack(path.parent):
        return scan([path.parent])
    if path.name in _OF_MODELS and (model := model_in(path.parent, files, path.parent.name)):
        return Library(models=(model,))
    return Library(saes=tuple(_sae_of(path)))


def _sae_of(path: Path) -> Iterator[SaeEntry]:
    from desktop_scope.engine.devices import import_torch

    import_torch()
    from desktop_scope.formats import format_of, recognised

    if not recognised(path.name):
        raise _unknown(path.name)
    loader = format_of(path)
    target = path.parent if loader.OPENS == "folder" else path
    yield SaeEntry(target, target.name, "", (loader.NAME,), path.stat().st_size)
