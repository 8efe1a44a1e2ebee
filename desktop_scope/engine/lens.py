"""Reading directions of the residual stream as words: the logit lens, and what a feature promotes.

Both go through the model's final norm and unembedding. For a direction (a decoder row) only the
norm's gain is applied: its scale depends on the rest of the stream.
"""

from __future__ import annotations

from functools import cached_property

import torch

from desktop_scope.engine.model import LanguageModel


class Lens:
    """The unembedding of one model, with what is worth computing once."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._gain = model.parts.gain()
        self._W_U = model.W_U

    def hidden(self, residual: torch.Tensor, layer: int) -> torch.Tensor:
        """Logit lens: what is unembedded of [n, d_model], as if any layer were the last one."""
        return self._model.parts.norm(residual)  # type: ignore[no-any-return]

    def logit_effect(self, direction: torch.Tensor) -> torch.Tensor:
        """What adding a direction [d_model] does to every logit, up to the norm's scale.

        The mean over the vocabulary is taken out: it changes no probability.
        """
        effect = self._W_U @ (direction * self._gain).to(self._W_U)
        return (effect - effect.mean()).float().cpu()

    def token_direction(self, token: int) -> torch.Tensor:
        """The direction [d_model] in which a token's centred logit grows."""
        row = self._W_U[token].float().cpu() - self._mean
        return row * self._gain

    @cached_property
    def _mean(self) -> torch.Tensor:
        return self._W_U.float().mean(0).cpu()

    @cached_property
    def covariance(self) -> torch.Tensor:
        """[d_model, d_model]: ``v·C·v`` is the variance over the vocabulary of v's logit effect."""
        centred = self._W_U.float().cpu() - self._mean
        return (centred.T @ centred) / len(centred) * self._gain[:, None] * self._gain[None, :]
