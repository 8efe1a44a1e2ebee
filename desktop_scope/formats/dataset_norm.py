"""OpenMOSS's normalisation: activations are scaled to a mean length of √d_model over a dataset."""

from __future__ import annotations

import math

from desktop_scope.errors import ScopeError
from desktop_scope.formats.reading import HINT, TensorFile

_PREFIX = "dataset_average_activation_norm."
_LEAST, _MOST = 1e-12, 1e12  # for float32 to hold the factor and its inverse


def factor(d_model: int, average_norm: float) -> float:
    """What multiplies the activations, where their mean length over the dataset is given.

    Raises:
        ScopeError: That length is not positive, or beyond all measure.
    """
    if not _LEAST < average_norm < _MOST:
        message = f"The SAE file gives {average_norm} as the mean length of activations."
        raise ScopeError(message, HINT)
    return math.sqrt(d_model) / average_norm


def stored_factor(file: TensorFile, hook: str, d_model: int) -> float:
    """What multiplies the activations at a hook, as a scalar in the file says.

    Raises:
        ScopeError: The file has no such scalar, or it makes no sense.
    """
    name = _PREFIX + hook
    return factor(d_model, float(file.take({name: ""})[name]))
