"""The engine: one model and its SAEs; one method per request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from desktop_scope.engine import generate as generation
from desktop_scope.engine import trace as tracing
from desktop_scope.engine.damage import DamageMeter
from desktop_scope.engine.lens import Lens
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import Generate, MeasureDamage, ProbeFeature, TracePrompt
from desktop_scope.engine.sae import Sae, sae_of
from desktop_scope.engine.types import (
    Damage,
    Generation,
    Intervention,
    LensRow,
    Probe,
    Prompt,
    Trace,
)
from desktop_scope.engine.worker import Job
from desktop_scope.errors import Cancelled, ScopeError


class Engine:
    """A loaded model with an SAE on resid_post of every layer.

    The methods that take a Job run on one thread, one after another. ``lens`` and the decoders
    are only ever read, so lookups may use them from another thread.

    Args:
        outlier_norms: Residual norm of every layer above which a token is not encoded.
    """

    def __init__(
        self, model: LanguageModel, saes: Sequence[Sae], outlier_norms: Sequence[float]
    ) -> None:
        _check_fit(model, saes)
        self.model = model
        self.saes = tuple(saes)
        self.lens = Lens(model)
        self._outlier_norms = np.array(outlier_norms, np.float32)
        self._meter = DamageMeter(model, self.saes, self._outlier_norms)
        self._last: tuple[Trace, torch.Tensor] | None = None

    def trace(self, request: TracePrompt, job: Job) -> Trace:
        """Features of a text at every layer."""
        self._last = tracing.trace(self.model, self.saes, self._outlier_norms, request, job)
        return self._last[0]

    def generate(
        self,
        request: Generate,
        job: Job,
        known: Mapping[tuple[Intervention, ...], Generation] = MappingProxyType({}),
    ) -> tuple[Generation, ...]:
        """One answer per run, but for the runs whose answers are known."""
        return generation.generate(self.model, self.saes, self._outlier_norms, request, job, known)

    def damage(self, request: MeasureDamage, job: Job) -> Damage:
        """What interventions cost on neutral texts."""
        return self._meter.measure(request.interventions, job)

    def probe(self, request: ProbeFeature, job: Job) -> Probe:
        """One feature on raw text."""
        sae = sae_of(self.saes, request.feature)
        ids = self.model.encode(Prompt(request.text, chat=False)).ids
        values, masked = tracing.probe(
            self.model, sae, request.feature.index, ids, self._outlier_norms, job
        )
        texts = tuple(self.model.texts[i] for i in ids)
        return Probe(request.feature, request.text, texts, values, masked)

    def logit_lens(self, trace: Trace, token: int) -> tuple[LensRow, ...]:
        """What every layer would say next at one token.

        Raises:
            Cancelled: The trace is no longer the newest one.
        """
        last = self._last  # read once: the engine's thread may replace it meanwhile
        if last is None or last[0] is not trace:
            raise Cancelled
        return self.lens.read(last[1][:, token])


def _check_fit(model: LanguageModel, saes: Sequence[Sae]) -> None:
    info = model.info
    wrong = [sae for sae in saes if sae.d_in != info.d_model]
    if len(saes) != info.n_layers or wrong:
        widths = sorted({sae.d_in for sae in saes})
        raise ScopeError(
            f"These SAEs ({len(saes)} layers, d_in {widths}) are not for {info.id} "
            f"({info.n_layers} layers, d_model {info.d_model}).",
            "Choose the pack that was made for this model.",
        )
    if [sae.layer for sae in saes] != list(range(len(saes))):
        raise ScopeError(
            f"The SAEs are of the layers {[sae.layer for sae in saes]}, not one for each layer.",
            "The pack may be damaged: get it again.",
        )
