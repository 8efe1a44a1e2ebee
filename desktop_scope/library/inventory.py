"""Models, SAEs and packs in the places where this program and others keep them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from desktop_scope import paths
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.library import details, hf_cache
from desktop_scope.library.entries import Library, ModelEntry, SaeEntry
from desktop_scope.library.folders import read_shelf
from desktop_scope.library.gguf_file import downloads
from desktop_scope.library.matching import same_model
from desktop_scope.library.model_names import known_name
from desktop_scope.library.requests import ReadDetails, ScanLibrary
from desktop_scope.library.scan import scan


def usual_places() -> tuple[Path, ...]:
    """The demo pack, this program's models, and the Hugging Face cache, where they exist."""
    converted = paths.cache_dir() / "models"
    places = (paths.demo_pack(), converted, downloads(), hf_cache.cache_root())
    return tuple(place for place in places if place.is_dir())


def scan_library(request: ScanLibrary, job: Job) -> Library:
    """All that is in the usual places, in the user's folders and in those of the request.

    Sends the Library found so far under way. SAEs have details where they were read before.

    Raises:
        Cancelled: The job was.
    """
    roots = (*usual_places(), *read_shelf().folders, *request.folders)
    found = scan(dict.fromkeys(roots), job.check, job.progress, job.partial)
    return replace(
        found,
        models=tuple(_named(found.models)),
        saes=details.recall(found.saes),
    )


def find_model(model_id: str) -> ModelEntry | None:
    """The first model on this machine that goes by this id and can be opened."""
    models = scan_library(ScanLibrary(), silent_job()).models
    return next((m for m in models if same_model(m.id, model_id) and not m.problem), None)


def read_details(request: ReadDetails, job: Job) -> tuple[SaeEntry, ...]:
    """The entries with their details; sends those read so far under way.

    Raises:
        Cancelled: The job was; what was read until then is remembered.
    """
    read: list[SaeEntry] = []

    def found(sae: SaeEntry) -> None:
        read.append(sae)
        job.partial(lambda: tuple(read))

    return details.read_details(request.saes, job.progress, job.check, found)


def _named(models: Iterable[ModelEntry]) -> Iterator[ModelEntry]:
    """The demo model and converted ones have better names than their folders."""
    for model in models:
        yield replace(model, id=known_name(model.path) or model.id)
