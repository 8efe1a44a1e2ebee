"""What the types of llamascopium's SAEs have in common: configuration, factors, thresholds."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from desktop_scope.engine.sae_weights import Architecture
from desktop_scope.errors import ScopeError
from desktop_scope.formats import dataset_norm
from desktop_scope.formats.config import HINT, Config, json_object
from desktop_scope.formats.hook_names import model_id
from desktop_scope.formats.reading import TensorFile, safetensors_file
from desktop_scope.formats.repository import names_of

NAME = "llamascopium"

_ARCHITECTURES = {
    "relu": Architecture.RELU,
    "jumprelu": Architecture.JUMPRELU,
    "topk": Architecture.TOPK,
    "batchtopk": Architecture.TOPK,
}
_NORMS = ("dataset-wise", "inference", "token-wise")
_LOG_THRESHOLD = "activation_function.log_jumprelu_threshold"
_REPOSITORY = re.compile(r"Llama-Scope-2-(Qwen[\w.-]+)")


@dataclass(frozen=True)
class Source:
    """The two files of one SAE."""

    path: Path
    config: Config
    file: TensorFile

    @classmethod
    def of(cls, path: Path) -> Source:
        """The files in a folder."""
        config = json_object(path / "config.json")
        return cls(path, config, safetensors_file(path / "sae_weights.safetensors"))

    @property
    def d_model(self) -> int:
        """Width of every hook."""
        return self.config.count("d_model")

    @property
    def architecture(self) -> Architecture:
        """Batch top-k counts as top-k, for want of a threshold."""
        return _ARCHITECTURES[self._one_of("act_fn", "relu", _ARCHITECTURES)]

    @property
    def by_length(self) -> bool:
        """Whether the decoder's lengths take part in deciding."""
        included = self.config.flag("sparsity_include_decoder_norm", True)
        return included and self.architecture is not Architecture.RELU

    @property
    def norm(self) -> str:
        """dataset-wise, inference (folded in) or token-wise."""
        return self._one_of("norm_activation", "dataset-wise", _NORMS)

    def factor(self, hook: str) -> float:
        """What multiplies the activations at a hook, the same for all tokens."""
        if self.norm == "dataset-wise":
            return dataset_norm.stored_factor(self.file, hook, self.d_model)
        return 1.0

    def hooks(self, key: str) -> list[str]:
        """The names of several hooks."""
        hooks = self.config.get(key)
        if not isinstance(hooks, list) or not hooks or not all(isinstance(h, str) for h in hooks):
            raise ScopeError(f"In {self.config.path}, “{key}” is no list of hooks.", HINT)
        return hooks

    def take(
        self, shapes: dict[str, str], *, thresholds: str, slots: int | None = None
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
        """The tensors asked for; and the thresholds, if there are to be any.

        Args:
            shapes: As for TensorFile.take, ``d`` being d_model.
            thresholds: The thresholds' shape.
            slots: How many layers or heads there are.
        """
        jumps = self.architecture is Architecture.JUMPRELU
        wanted = {**shapes, _LOG_THRESHOLD: thresholds} if jumps else shapes
        tensors = self.file.take(wanted, d=self.d_model, slots=slots)
        return tensors, tensors[_LOG_THRESHOLD].float().exp() if jumps else None

    def common(self, d_sae: int) -> dict[str, Any]:
        """Arguments of every SaeWeights made of it."""
        topk = self.architecture is Architecture.TOPK
        k = self.config.count("top_k", most=d_sae) if topk else None
        return {
            "format": NAME,
            "architecture": self.architecture,
            "k": k,
            "declared_l0": k,
            "model": _model(self.path),
        }

    def refuse_token_wise(self) -> None:
        """Where what is read and written differ, no one token's length can be undone.

        Raises:
            ScopeError: It normalises like that.
        """
        if self.norm == "token-wise":
            raise ScopeError(
                f"{self.path.name} normalises each token on its own, at hooks that differ.",
                "Desktop Scope knows that for SAEs that read and write at the same hook only.",
            )

    def _one_of(self, key: str, default: str, known: Collection[str]) -> str:
        value = self.config.text(key, default).lower()
        if value not in known:
            raise ScopeError(
                f"In {self.config.path}, “{key}” is {value[:80]}, which Desktop Scope does not "
                "know.",
                f"It knows: {', '.join(known)}.",
            )
        return value


def _model(path: Path) -> str | None:
    beside = path / "lm_config.json"
    if beside.exists():
        return model_id(json_object(beside).text("model_name", ""))
    found = next(filter(None, map(_REPOSITORY.search, reversed(names_of(path)))), None)
    return f"Qwen/{found[1]}" if found else None
