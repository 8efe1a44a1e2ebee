"""The tuned lens: an affine map per layer to what the model makes of its stream in the end.

After Belrose et al., "Eliciting Latent Predictions from Transformers with the Tuned Lens" (2023,
arXiv 2303.08112), with another way of fitting it. They train each map by gradient descent on the
KL divergence, on a GPU for an hour. Here it is the solution of one linear system: ridge regression
from x/RMS(x), the stream of a layer as a norm sees it, to the output of the final norm. It knows
how little an early layer says: what it predicts shrinks towards the mean, and is not normalised
again, so that its words come out as unsure as they are.
"""

from __future__ import annotations

import torch

from desktop_scope.engine.hooks import normalized
from desktop_scope.engine.model import LanguageModel

_RIDGE = 0.1  # tokens' worth of doubt for each dimension


class TunedLens:
    """Reads each layer's stream as the model itself would go on with it, linearly.

    Args:
        maps: [L − 1, d_model + 1, d_model] float32, the constant in the last row; the last layer
            needs none.
        used: By layer below the last whether its map did better than the logit lens on text that
            it was not fitted on; where it did not, the logit lens takes its place.
    """

    def __init__(self, model: LanguageModel, maps: torch.Tensor, used: tuple[bool, ...]) -> None:
        self._norm = model.parts.norm
        self.maps, self.used = maps, used

    def hidden(self, residual: torch.Tensor, layer: int) -> torch.Tensor:
        """What is unembedded of a layer's stream [n, d_model]."""
        if layer == len(self.maps) or not self.used[layer]:
            return self._norm(residual)  # type: ignore[no-any-return]
        return self.mapped(residual, layer)

    def mapped(self, residual: torch.Tensor, layer: int) -> torch.Tensor:
        """The same by the map, however well it did."""
        x, here = normalized(self._norm, residual), self.maps[layer].to(residual.device)
        return (x @ here[:-1] + here[-1]).to(residual)


class LensSums:
    """What fitting needs to know of a text: sums over its tokens, [L − 1, d + 1, …]."""

    def __init__(self, model: LanguageModel) -> None:
        n_layers, d = model.info.n_layers, model.d_model
        self._norm = model.parts.norm
        self.n = 0
        self._squares = torch.zeros(n_layers - 1, d + 1, d + 1)
        self._products = torch.zeros(n_layers - 1, d + 1, d)

    @staticmethod
    def memory(model: LanguageModel) -> int:
        """Bytes that it takes."""
        d = model.d_model
        return 4 * (model.info.n_layers - 1) * (d + 1) * (2 * d + 1)

    def add(self, residual: torch.Tensor, hidden: torch.Tensor) -> None:
        """Take in some tokens: their streams [L, n, d] and the final norm's output [n, d]."""
        y = hidden.float().cpu()
        for layer in range(len(self._squares)):
            x = with_one(normalized(self._norm, residual[layer]).cpu())
            self._squares[layer].addmm_(x.T, x)
            self._products[layer].addmm_(x.T, y)
        self.n += len(y)

    def solve(self, layer: int) -> torch.Tensor:
        """The map of one layer, [d + 1, d]."""
        squares = self._squares[layer].double()
        doubt = torch.full((len(squares),), _RIDGE * (len(squares) - 1), dtype=torch.double)
        doubt[-1] = 0  # the mean is not in doubt
        # A little more where tokens were too few to tell anything of the constant.
        doubt += 1e-9 * squares.diagonal().mean()
        solved: torch.Tensor = torch.linalg.solve(
            squares + doubt.diag(), self._products[layer].double()
        )
        return solved.float()


def with_one(x: torch.Tensor) -> torch.Tensor:
    """[n, d] → [n, d + 1], for the constant."""
    return torch.cat([x, x.new_ones(len(x), 1)], dim=1)


def divergence(model: LanguageModel, own: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """KL(model ‖ lens) of each token, nats.

    Args:
        own: The model's log-probabilities [n, vocabulary].
        read: What the lens unembeds, [n, d_model].
    """
    q = model.logits(read).log_softmax(-1)
    return (own.exp() * (own - q)).nan_to_num_().sum(-1)
