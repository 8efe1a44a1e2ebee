"""From what a person chose to a running engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from desktop_scope import paths
from desktop_scope.engine.devices import choose_dtype
from desktop_scope.engine.engine import Engine, check_fit
from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.engine.loading import load_model
from desktop_scope.engine.memory import available
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import LoadModel, Placement
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import InputNorm, SaeWeights
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.formats import format_of, open_sae, recognised
from desktop_scope.library.checksum import sha256_of
from desktop_scope.library.demo_model import model_of
from desktop_scope.library.model_cache import ensure_model
from desktop_scope.library.model_names import name_of
from desktop_scope.library.pack import Pack, is_pack, read_pack

_MOST_SAES = 400  # in one folder; more is a whole cache, dropped by mistake
_KEPT_FREE = 0.15  # of what a device has left after the model, for activations


def same_model(one: LoadModel, other: LoadModel) -> bool:
    """Whether two requests differ in nothing but the SAEs."""
    return one.workspace != other.workspace and _model_of(one) == _model_of(other)


def _model_of(request: LoadModel) -> tuple[object, ...]:
    # Of packs the first says how its model begins a text.
    pack = next(filter(is_pack, request.workspace.saes), None)
    model = request.workspace.model
    return (model, pack, request.device, request.dtype, request.spare_cores)


def open_engine(request: LoadModel, job: Job, model: LanguageModel | None = None) -> Engine:
    """Load a model and the SAEs chosen for it.

    Args:
        request: What to open.
        job: Told of the progress.
        model: The request's model where it is loaded already.

    Raises:
        ScopeError: The model, a pack or an SAE is missing, damaged or does not fit.
        Cancelled: The job was.
    """
    workspace = request.workspace
    packs = {folder: read_pack(folder) for folder in workspace.saes if is_pack(folder)}
    model = model or open_model(request, tuple(packs.values()), job)
    for folder, pack in packs.items():
        _check_pack(pack, folder, model)
    opened = []
    for path in workspace.saes:
        job.progress(0, 0, f"Opening {path.name}")
        found = _of_pack(path, packs[path]) if path in packs else _of_files(path)
        opened += list(found)
    opened = _named_apart(opened)
    saes: list[Sae] = []
    kind = choose_dtype(request.sae_dtype, model.device)
    room = available(model.device) * (1 - _KEPT_FREE)
    with torch.inference_mode():
        for weights, outlier_norm in opened:
            job.progress(len(saes), len(opened), "Opening the autoencoders")
            weights = placed(weights, workspace.moved)
            check_fit(model, weights)
            where = model.parts.device(weights.reads[0].layer)
            needed = weights.d_sae * weights.d_in * kind.itemsize
            streamed = needed > room
            room -= 0 if streamed else needed
            saes.append(Sae(weights, where, model.info.packed, streamed, outlier_norm, kind))
    return Engine(model, saes)


def open_beside(request: LoadModel, engine: Engine, job: Job) -> LanguageModel:
    """Load a second model for the SAEs that are open.

    Raises:
        ScopeError: It is missing or damaged, too large, or the SAEs do not fit it.
        Cancelled: The job was.
    """
    packs = tuple(read_pack(folder) for folder in request.workspace.saes if is_pack(folder))
    model = open_model(request, packs, job)
    for sae in engine.saes:
        check_fit(model, sae.weights)
    model.begin_like(engine.model)
    return model


def open_model(request: LoadModel, packs: tuple[Pack, ...], job: Job) -> LanguageModel:
    """Load the model that is asked for, or else that of the first pack."""
    workspace = request.workspace
    own = packs[0] if packs else None  # the pack whose model it may be
    if own is None and workspace.model is None:
        raise ScopeError("No model is chosen.", "Choose a model first: a folder or a GGUF file.")
    path = workspace.model
    if path is None:
        name, folder = own.model.id, model_of(own, job.progress, job.check)
    elif path.suffix.lower() != ".gguf":
        name, folder = name_of(path), path
    elif own is not None:  # beside a pack it must be the pack's model: its SHA-256 is checked
        name = own.model.id
        folder = ensure_model(path, own.model.gguf_sha256, job.progress, job.check)
    else:
        name = name_of(path)
        digest = sha256_of(path, job.progress, job.check)
        folder = ensure_model(path, digest, job.progress, job.check)
    # The demo model's tokenizer names another first token than the one it is used to.
    known = (own, read_pack(paths.demo_pack()))
    first = next((p.token_mask.raw_first_token for p in known if p and p.model.id == name), None)
    return load_model(folder, name, job, request.device, request.dtype, request.spare_cores, first)


def _check_pack(pack: Pack, folder: Path, model: LanguageModel) -> None:
    there, made_for = model.info, pack.model
    if (there.n_layers, there.d_model) != (made_for.n_layers, made_for.d_model):
        raise ScopeError(
            f"The pack in {folder} is for {made_for.id} ({made_for.n_layers} layers, d_model "
            f"{made_for.d_model}), not for {there.id} ({there.n_layers} layers, d_model "
            f"{there.d_model}).",
            "Open it with its own model, or choose the pack that was made for this one.",
        )


def _of_pack(folder: Path, pack: Pack) -> Iterator[tuple[SaeWeights, float]]:
    """The SAEs of a pack, with the length beyond which a token is an outlier."""
    mask = pack.token_mask
    for layer, (path, norm) in enumerate(
        zip(pack.sae_files(folder), mask.median_norm, strict=True)
    ):
        (weights,) = open_sae(path)
        if weights.reads != (resid_post(layer),):
            raise ScopeError(
                f"{path} reads {weights.reads[0]}, where a pack has one SAE for each layer.",
                "The pack may be damaged: get it again.",
            )
        yield replace(weights, name=f"{pack.name}/{path.stem}"), mask.outlier_factor * norm


def _of_files(path: Path) -> Iterator[tuple[SaeWeights, float]]:
    """The SAEs of a file or a folder, or of the folders in it."""
    for candidate in sae_paths(path):
        for weights in open_sae(candidate):
            yield weights, float("inf")


def _named_apart(opened: list[tuple[SaeWeights, float]]) -> list[tuple[SaeWeights, float]]:
    """Files in different folders may give their SAEs the same name."""
    seen: Counter[str] = Counter()
    apart = []
    for weights, outlier_norm in opened:
        seen[weights.name] += 1
        if (n := seen[weights.name]) > 1:
            weights = replace(weights, name=f"{weights.name} ({n})")
        apart.append((weights, outlier_norm))
    return apart


def placed(weights: SaeWeights, moved: Sequence[Placement]) -> SaeWeights:
    """The SAE where the user wants it, if that is elsewhere than its file says."""
    for place in moved:
        if place.name == weights.name:
            return replace(
                weights,
                reads=(HookPoint.parse(place.hook_name),),
                writes=(HookPoint.parse(place.hook_out),),
                norm=InputNorm(place.norm),
                centred=place.centred,
                subtract_b_dec=place.subtract_b_dec,
            )
    return weights


def sae_paths(path: Path) -> list[Path]:
    """What to open for a file or folder that a person chose.

    Raises:
        ScopeError: There is no SAE, or there are too many.
    """
    try:
        format_of(path)
        return [path]
    except ScopeError:
        if not path.is_dir():
            raise
    found: dict[Path, None] = {}
    for file in sorted(path.rglob("*")):
        for loader in recognised(file.name):
            candidate = file if loader.OPENS == "file" else file.parent
            if candidate not in found and loader.match(candidate):
                found[candidate] = None
        if len(found) > _MOST_SAES:
            raise ScopeError(
                f"{path} holds more than {_MOST_SAES} SAEs.", "Choose a smaller folder."
            )
    if not found:
        raise ScopeError(
            f"There is no SAE that we can read in {path}.",
            "Choose the folder with the SAE’s files, or the file itself.",
        )
    return list(found)
