"""SAELens itself, where it is installed, as a reference: given local files in place of its hub."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open


def library(name: str) -> Any:
    """A reference; the test is skipped where it is not installed, and fails where it is broken."""
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    with warnings.catch_warnings(action="ignore"):
        return import_module(name)


def saelens() -> Any:
    """SAELens."""
    return library("sae_lens")


def outputs(sae: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and reconstruction that SAELens computes, from float32 activations."""
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        return sae.encode(x), sae(x)


def from_disk(folder: Path) -> Any:
    """An SAE that SAELens opens from its own format."""
    with warnings.catch_warnings(action="ignore"):
        return saelens().SAE.load_from_disk(folder, dtype="float32")


def converted(
    monkeypatch: pytest.MonkeyPatch, converter: str, root: Path, repo: str, folder: str, **cfg: Any
) -> Any:
    """An SAE in someone else's format, opened by the converter that SAELens has for it.

    Args:
        monkeypatch: To put files below ``root`` in place of downloads.
        converter: Its name in SAELens.
        root: Where the folder of the repository is.
        repo: Owner and name.
        folder: Within the repository.
        **cfg: What it would otherwise assume of the published sizes.
    """
    saelens()
    with warnings.catch_warnings(action="ignore"):
        import sae_lens.loading.pretrained_sae_loaders as loaders
        from huggingface_hub.utils import EntryNotFoundError
        from sae_lens.registry import get_sae_class

    def local(
        repo_id: str, filename: str = "", subfolder: str = "", force_download: bool = False
    ) -> str:
        path = root / repo_id.split("/")[1] / subfolder / filename
        if not path.exists():
            raise EntryNotFoundError(str(path))
        return str(path)

    def shapes(repo_id: str, filename: str) -> dict[str, list[int]]:
        with safe_open(local(repo_id, filename), framework="pt") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118

    monkeypatch.setattr(loaders, "hf_hub_download", local)
    monkeypatch.setattr(loaders, "get_safetensors_tensor_shapes", shapes)
    convert = loaders.NAMED_PRETRAINED_SAE_LOADERS[converter]
    config, state, _ = convert(
        repo, folder, device="cpu", force_download=False, cfg_overrides={"dtype": "float32", **cfg}
    )
    config = loaders.handle_config_defaulting(config)
    sae_class, config_class = get_sae_class(config["architecture"])
    sae = sae_class(config_class.from_dict(config))
    sae.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    return sae
