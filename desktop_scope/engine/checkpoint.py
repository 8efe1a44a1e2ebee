"""A model's folder, looked at before anything is loaded: its config, and its weights by header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from desktop_scope.errors import ScopeError

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "consolidated*.bin")
_CONVERT = (
    "Convert it once, where you trust it, to safetensors: "
    "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."
)


class Stored(NamedTuple):
    """One tensor of a checkpoint: its name, shape and safetensors type (F32, BF16, U8 …)."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def read_config(folder: Path) -> Any:
    """The config of a model that writes text.

    Raises:
        ScopeError: There is none, it is damaged, or it is of a model of another kind, of one that
            transformers does not know, or of one that needs code of its own.
    """
    from transformers import AutoConfig

    about = _json(folder / "config.json")
    _demand_known(about, folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # each family checks its own settings in its own way
        raise ScopeError(
            f"The model's settings in {folder / 'config.json'} make no sense: {error}",
            "Get the model again.",
        ) from error
    _demand_writer(config, folder)
    return config


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a checkpoint.

    Raises:
        ScopeError: They are missing in whole or in part, or are pickles, which can run code.
    """
    if (folder / _WEIGHTS).is_file():
        return (folder / _WEIGHTS,)
    if not (folder / _INDEX).is_file():
        if any(any(folder.glob(pattern)) for pattern in _PICKLES):
            raise ScopeError(
                f"The weights in {folder} are Python pickles, which can run code: not opened.",
                _CONVERT,
            )
        raise ScopeError(
            f"There are no weights in {folder}.",
            f"A model's folder holds {_WEIGHTS}, or {_INDEX} and the files that it names.",
        )
    listed = _json(folder / _INDEX).get("weight_map")
    if not isinstance(listed, dict) or not all(_is_plain(name) for name in listed.values()):
        raise ScopeError(f"The list of weights {folder / _INDEX} is damaged.", "Get it again.")
    names = sorted(set(listed.values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ScopeError(
            f"{len(missing)} of the {len(names)} weight files are missing in {folder}: "
            f"{', '.join(missing)}.",
            "Get them too, or the whole model again.",
        )
    return tuple(folder / name for name in names)


def stored_tensors(folder: Path) -> Iterator[Stored]:
    """What the headers say is in a checkpoint; no weights are read.

    Raises:
        ScopeError: A file is missing, damaged or cut short.
    """
    for path in weight_files(folder):
        try:
            # Torch's way of mapping a file fails when it is larger than memory.
            with safe_open(path, "np") as file:
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    view = file.get_slice(name)
                    yield Stored(name, tuple(view.get_shape()), view.get_dtype())
        except (SafetensorError, OSError) as error:
            raise ScopeError(
                f"The file {path} is damaged or cut short ({error}).", "Get it again."
            ) from error


def _is_plain(name: object) -> bool:
    """Whether it is the name of a file in the same folder."""
    return isinstance(name, str) and name == Path(name).name and name not in ("", "..")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ScopeError(
            f"There is no {path.name} in {path.parent}.",
            "Choose the folder of a model in the Hugging Face layout, or a GGUF file.",
        ) from None
    except (OSError, ValueError) as error:
        raise ScopeError(f"{path} cannot be read: {error}.", "Get it again.") from error
    if not isinstance(content, dict):
        raise ScopeError(f"{path} is not a model's settings.", "Get it again.")
    return content


def _demand_known(about: dict[str, Any], folder: Path) -> None:
    from transformers import CONFIG_MAPPING
    from transformers import __version__ as version

    model_type = about.get("model_type")
    if not isinstance(model_type, str):
        raise ScopeError(
            f"{folder / 'config.json'} does not say what kind of model it is (model_type).",
            "Get the model again.",
        )
    if model_type in CONFIG_MAPPING:
        return
    if "auto_map" in about:
        raise ScopeError(
            f"The model in {folder} ({model_type}) needs code of its own, which is not run.",
            "Choose a model that transformers knows by itself.",
        )
    raise ScopeError(
        f"The model in {folder} is of the kind “{model_type}”, which transformers {version} "
        "does not know.",
        "Install a newer transformers, or choose another model.",
    )


def _demand_writer(config: Any, folder: Path) -> None:
    """Refuse what does not write text from left to right."""
    from transformers.models.auto import modeling_auto as auto

    kind, declared = config.model_type, config.architectures or []
    writers = {
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind),
        auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(kind),
    } - {None}
    what = ", ".join(declared) or kind
    hint = "Choose a language model that writes from left to right, such as Llama or Gemma."
    if config.is_encoder_decoder:
        raise ScopeError(
            f"The model in {folder} ({what}) is an encoder and a decoder; only models with a "
            "decoder alone can be opened.",
            hint,
        )
    reads_both_ways = kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if not writers or (reads_both_ways and not writers & set(declared)):
        raise ScopeError(f"The model in {folder} ({what}) does not write text.", hint)
