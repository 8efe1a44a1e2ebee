"""From a folder in the Hugging Face layout to a LanguageModel. Never from a network."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from desktop_scope import paths
from desktop_scope.engine.checkpoint import read_config, weight_files
from desktop_scope.engine.devices import (
    QUANTISED,
    choose_device,
    choose_dtype,
    importing,
    use_threads,
)
from desktop_scope.engine.families import parts_of
from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.memory import available, demand_room, estimate
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.packed import packing_pays
from desktop_scope.engine.types import ModelInfo
from desktop_scope.engine.verify import verify
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

SPREAD = "spread"  # the device name for all of them, memory and disk

DeviceMap = Mapping[str, str | int]

_SHARE = 0.8  # of what is free, that a spread model's weights may fill
_CONTEXT = 2048  # of models that do not say


def load_model(
    folder: Path,
    model_id: str,
    job: Job,
    device: str = "auto",
    dtype: str = "auto",
    spare_cores: int = 0,
    raw_first_token: int | None = None,
    device_map: DeviceMap | None = None,
) -> LanguageModel:
    """Load a transformers model and its tokenizer from a folder, without running code from it.

    Args:
        folder: Holds config.json, safetensors weights and the tokenizer.
        model_id: Its name for people.
        job: Told of the progress.
        device: auto, cpu, cuda or mps; or spread over GPUs, memory and disk, as much as fits
            into each.
        dtype: auto, float32, bfloat16, float16, 8bit or 4bit.
        spare_cores: Cores left to the window.
        raw_first_token: Put before text without a chat template; None takes the tokenizer's BOS.
        device_map: For a spread model, where each module goes (a GPU's number, cpu or disk);
            None lets accelerate decide.

    Raises:
        ScopeError: Not loadable, too large, or the device or number type is not to be had.
    """
    start = time.perf_counter()
    use_threads(spare_cores)
    where = choose_device("auto" if device == SPREAD else device)
    kind = choose_dtype(dtype, where)
    config = read_config(folder)
    weight_files(folder)
    if device != SPREAD:
        demand_room(folder, _name(kind) if dtype == "auto" else dtype, where)
    with importing():
        job.progress(0, 3, "Reading the tokenizer")
        tokenizer = _read_tokenizer(folder)
        needed = estimate(folder, _name(kind) if dtype == "auto" else dtype)
        job.progress(1, 3, f"Reading {needed / 1e9:.2g} GB of weights")
        more: dict[str, Any] = {"dtype": kind, "config": config}
        if dtype in QUANTISED:
            more["quantization_config"] = _quantisation(dtype, kind)
        if device == SPREAD:
            model = _read_spread(folder, device_map, more)
        else:
            # A processor's model needs no map, nor accelerate, which takes long to import.
            map_ = None if where.type == "cpu" else {"": where}
            model = read_weights(folder, device_map=map_, **more)
        job.progress(2, 3, "Making the weights ready for this processor")
        text = config.get_text_config(decoder=True)
        packs = where.type == "cpu" and kind == torch.float32
        packs = packs and device != SPREAD and dtype not in QUANTISED
        info = ModelInfo(
            id=model_id,
            path=str(folder),
            architecture=type(model).__name__,
            n_layers=text.num_hidden_layers,
            d_model=text.hidden_size,
            vocab_size=model.get_output_embeddings().weight.shape[0],
            context=getattr(text, "max_position_embeddings", None) or _CONTEXT,
            device=SPREAD if device == SPREAD else where.type,
            dtype=dtype if dtype in QUANTISED else _name(kind),
            bytes=sum(p.numel() * p.element_size() for p in model.parameters()),
            packed=packs and _packable(model) and packing_pays(),
            has_chat=tokenizer.chat_template is not None,
            seconds=time.perf_counter() - start,
        )
        first = tokenizer.bos_token_id if raw_first_token is None else raw_first_token
        loaded = LanguageModel(model, tokenizer, info, first)
    verify(loaded)
    return loaded


def _packable(model: Any) -> bool:
    """Whether no block is likely to ask for the weights of a linear layer (as Mamba's do)."""
    return Site.MLP_IN in parts_of(model).sites()


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    # On a thread of its own: transformers leaves a traceback behind which would hold the frames
    # above, hence the model, in memory when another one is opened.
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(
            AutoTokenizer.from_pretrained, folder, local_files_only=True, trust_remote_code=False
        )
        try:
            return read.result()
        except Exception as error:  # every kind of tokenizer fails in its own way
            raise ScopeError(
                f"The tokenizer in {folder} cannot be read: {error}",
                "Check that tokenizer.json or the tokenizer's model lies beside the weights.",
            ) from error


def read_weights(folder: Path, config: Any = None, may_lack: str = "", **more: Any) -> Any:
    """The transformers model in a folder, with all its weights and no gradients.

    Args:
        folder: In the Hugging Face layout.
        config: Its settings; None for those in the folder.
        may_lack: A pattern of names of weights that it may lack, which the caller fills in.
        more: Passed to ``from_pretrained``: dtype, device_map …

    Raises:
        ScopeError: It cannot be read, or lacks weights.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto import modeling_auto as auto

    config = config or read_config(folder)
    writes = config.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    opener = AutoModelForCausalLM if writes else AutoModelForImageTextToText
    try:
        model, report = opener.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **more,
        )
    except torch.OutOfMemoryError as error:
        raise ScopeError(
            "The memory of the device ran out while the model was loading.",
            "Choose a smaller number type, the device cpu, or spread.",
        ) from error
    except Exception as error:  # a model can be broken in more ways than we could list
        raise ScopeError(
            f"The model in {folder} cannot be loaded: {error}",
            "Check that its config.json and its weights belong together.",
        ) from error
    # transformers would go on with random numbers in their place.
    lacking = sorted([*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])])
    lacking = [name for name in lacking if not re.fullmatch(may_lack, name)]
    if lacking:
        raise ScopeError(
            f"The weights in {folder} lack {len(lacking)} tensors of a {type(model).__name__}, "
            f"such as {lacking[0]}, or have them in another shape.",
            "Get the whole model, made for writing text.",
        )
    return model.eval().requires_grad_(False)


def _read_spread(folder: Path, device_map: DeviceMap | None, more: Mapping[str, Any]) -> Any:
    """Load a model over everything there is; what is on disk is fetched block by block."""
    gpus = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    room: dict[str | int, int] = {gpu.index: int(available(gpu) * _SHARE) for gpu in gpus}
    room["cpu"] = int(available(torch.device("cpu")) * _SHARE)
    parent = paths.cache_dir() / "offload"
    parent.mkdir(parents=True, exist_ok=True)
    # Most tensors are read from the model's own files; this is for those that are not kept there
    # as they are used.
    offload = tempfile.mkdtemp(dir=parent)
    try:
        model = read_weights(
            folder,
            device_map="auto" if device_map is None else dict(device_map),
            max_memory=room,
            offload_folder=offload,
            **more,
        )
    except BaseException:
        shutil.rmtree(offload, ignore_errors=True)
        raise
    weakref.finalize(model, shutil.rmtree, offload, ignore_errors=True)
    return model


def _quantisation(dtype: str, kind: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if dtype == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=kind
    )
