"""Trains small SAEs on Gemma 3's activations and writes them as Gemma Scope 2 lays them out.

Activations are taken with plain hooks on the transformers model, by the module names that the
configuration will say, so that an SAE fits only where Desktop Scope reads the same place.

    python tests/gemma/train.py MODEL.gguf OUT_FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from desktop_scope import paths
from desktop_scope.library.checksum import sha256_of
from desktop_scope.library.demo_model import demo_model
from desktop_scope.library.model_cache import ensure_model


class Place(NamedTuple):
    """An SAE to train: the folder of its kind, its layer, and where its input comes from."""

    kind: str
    layer: int
    module: str  # within the layer; the layer itself when empty

    @property
    def hook(self) -> str:
        """As a configuration says it."""
        return f"model.layers.{'.'.join(filter(None, (str(self.layer), self.module)))}.output"

    @property
    def folder(self) -> str:
        """As the repositories say it."""
        return f"{self.kind}/layer_{self.layer}_width_{D_SAE // 1024}k_l0_medium"


D_SAE, L0 = 2048, 50
PLACES = (
    Place("resid_post", 6, ""),
    Place("resid_post", 12, ""),
    Place("mlp_out", 9, "post_feedforward_layernorm"),
)
_N_TOKENS = 30_000
_OUTLIER = 6  # of the median length: a few tokens like the first, which would drown the others
_ROWS, _LENGTH = 16, 128
_BATCH, _EPOCHS, _LR = 1024, 4, 4e-3
_CHATS = {"chat", "freerun"}  # in the demo model's own template


def train(gguf: Path, out: Path, n_tokens: int = _N_TOKENS) -> dict[Place, float]:
    """Train an SAE for each place and write it; returns the variance each leaves unexplained."""
    torch.manual_seed(0)
    folder = ensure_model(gguf, sha256_of(gguf))
    seen = activations(folder, n_tokens)
    fvus = {}
    for place, x in seen.items():
        tensors, fvus[place] = fit(x)
        write(place, tensors, out / place.folder)
    return fvus


def texts() -> Iterator[str]:
    """The demo pack's corpus, in an order of no meaning."""
    tokenizer = AutoTokenizer.from_pretrained(demo_model(), local_files_only=True)
    with safe_open(paths.demo_pack() / "corpus.safetensors", "pt") as file:
        names, pad = json.loads(file.metadata()["sources"]), int(file.metadata()["pad"])
        rows, sources = file.get_tensor("tokens").int(), file.get_tensor("source").tolist()
    for n in torch.randperm(len(rows)).tolist():
        if names[sources[n]] not in _CHATS:
            yield tokenizer.decode(rows[n][rows[n] != pad], skip_special_tokens=True)


def activations(folder: Path, n_tokens: int) -> dict[Place, torch.Tensor]:
    """What the model computes at each place: [about n_tokens, d_model], first tokens left out."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
    model.layers = model.layers[: max(place.layer for place in PLACES) + 1]
    seen: dict[Place, list[torch.Tensor]] = {place: [] for place in PLACES}
    for place, kept in seen.items():
        module = model.get_submodule(place.hook.removeprefix("model.").removesuffix(".output"))
        module.register_forward_hook(
            lambda _m, _i, x, kept=kept: kept.append(x[:, 1:].flatten(0, 1).clone())
        )
    lines = (tokenizer(text)["input_ids"][:_LENGTH] for text in texts())
    whole = (line for line in lines if len(line) == _LENGTH)  # no padding
    with torch.inference_mode():
        for _ in range(-(-n_tokens // (_ROWS * _LENGTH))):
            model(torch.tensor([next(whole) for _ in range(_ROWS)]), use_cache=False)
    return {place: _ordinary(torch.cat(kept)) for place, kept in seen.items()}


def _ordinary(x: torch.Tensor) -> torch.Tensor:
    lengths = x.norm(dim=1)
    return x[lengths < _OUTLIER * lengths.median()].clone()


def fit(x: torch.Tensor) -> tuple[dict[str, torch.Tensor], float]:
    """An SAE of [n, d]: BatchTopK while it learns (Bussmann et al. 2024), then one threshold.

    Returns:
        Its tensors, for activations as they are; the variance it leaves unexplained.
    """
    mean = x.mean(0)
    scale = (x - mean).square().mean().sqrt()
    x = (x - mean) / scale
    start = torch.randn(D_SAE, x.shape[1])
    start /= start.norm(dim=1, keepdim=True)
    w_dec = start.clone().requires_grad_()
    w_enc = start.T.contiguous().requires_grad_()
    b_enc = torch.zeros(D_SAE, requires_grad=True)
    b_dec = torch.zeros(x.shape[1], requires_grad=True)
    steps = _EPOCHS * (len(x) // _BATCH)
    adam = torch.optim.Adam([w_enc, w_dec, b_enc, b_dec], lr=_LR, betas=(0.9, 0.99))
    decay = torch.optim.lr_scheduler.LambdaLR(adam, lambda n: min(1.0, 2 * (1 - n / steps)))
    threshold = torch.tensor(0.0)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(x)).split(_BATCH)[: len(x) // _BATCH]:
            h = (x[rows] @ w_enc + b_enc).relu()
            least = h.detach().flatten().kthvalue(h.numel() - L0 * _BATCH).values
            threshold = 0.95 * threshold + 0.05 * least
            loss = ((h * (h > least)) @ w_dec + b_dec - x[rows]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            decay.step()
            with torch.no_grad():
                w_dec /= w_dec.norm(dim=1, keepdim=True)
    with torch.no_grad():
        h = x @ w_enc + b_enc
        guess = (h * (h > threshold)) @ w_dec + b_dec
        fvu = float((guess - x).square().sum() / (x - x.mean(0)).square().sum())
        return {
            "w_enc": w_enc.detach(),
            "b_enc": b_enc * scale - mean @ w_enc,
            "threshold": (threshold * scale).expand(D_SAE).clone(),
            "w_dec": w_dec.detach(),
            "b_dec": b_dec * scale + mean,
        }, fvu


def write(place: Place, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """One SAE as published: its tensors, and a configuration with the real keys."""
    folder.mkdir(parents=True)
    save_file(tensors, folder / "params.safetensors")
    config = {
        "hf_hook_point_in": place.hook,
        "hf_hook_point_out": place.hook,
        "width": D_SAE,
        "model_name": "google/gemma-3-270m-pt",
        "architecture": "jump_relu",
        "l0": L0,
        "affine_connection": False,
        "type": "sae",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")


if __name__ == "__main__":
    began = time.monotonic()
    for trained, fvu in train(Path(sys.argv[1]), Path(sys.argv[2])).items():
        print(f"{trained.folder}: FVU {fvu:.1%} on the training text")
    print(f"{time.monotonic() - began:.0f} s")
