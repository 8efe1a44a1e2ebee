"""Two ways of steering, compared by what they make of the same texts; and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError

from desktop_scope.engine.damage import NEUTRAL_TEXTS
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import MeasureDamage
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Intervention
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError, reason_of
from desktop_scope.exports.types import Export, Exported
from desktop_scope.library.parts import part_of, remove


class Way:
    """A model with or without interventions."""

    def __init__(
        self,
        model: LanguageModel,
        saes: Sequence[Sae] = (),
        interventions: Sequence[Intervention] = (),
    ) -> None:
        self.model = model
        self._steering = Steering(interventions, saes)

    def logprobs(self, ids: list[int], job: Job) -> torch.Tensor:
        """[T, vocabulary] of what follows each token, nats."""
        tokens = torch.tensor([ids], device=self.model.device)
        edits = checked(self._steering.edits(), self.model.parts, job.check)
        read = partial(self.model.hidden, tokens, edits, use_cache=False)
        return self.model.logits(self._steering.settle(read)[0]).log_softmax(-1).cpu()


class Comparison:
    """The interventions while the model runs, against what was written.

    Args:
        request: What was asked for.
        steered: The interventions as they act once they are exported: on every token.
        notes: In what that is more than was asked for.
    """

    def __init__(
        self,
        engine: Engine,
        request: Export,
        steered: tuple[Intervention, ...],
        notes: tuple[str, ...],
    ) -> None:
        self._engine, self._request = engine, request
        self._steered, self._notes = steered, notes
        self._live = Way(engine.model, engine.saes, steered)
        self._apart, self._n_tokens = 0.0, 0

    def demand_same(self, written: Way, most: float, hint: str, job: Job) -> None:
        """Whether what was written and read again does the same.

        Args:
            most: They may be so many nats apart.

        Raises:
            ScopeError: It does not.
        """
        self._apart, self._n_tokens = self._compare(written, job)
        if self._apart > most:
            raise ScopeError(
                f"What was written does not do the same as the dials: {self._apart:.2g} nats "
                "apart. It was not kept.",
                hint,
            )

    def told(self, files: tuple[Path, ...], job: Job) -> Exported:
        """All there is to say, with what it costs."""
        engine = self._engine
        given = Way(engine.model, engine.saes, self._request.interventions)
        beyond, _ = self._compare(given, job)
        damage = engine.damage(MeasureDamage(self._steered, quiz=True), job)
        return Exported(files, self._apart, self._n_tokens, beyond, self._notes, damage)

    def _compare(self, other: Way, job: Job) -> tuple[float, int]:
        """The largest difference of any log-probability after any token, nats; over how many."""
        largest, n_tokens = 0.0, 0
        texts = [*NEUTRAL_TEXTS, *self._request.texts]
        with torch.inference_mode():
            for number, text in enumerate(texts):
                job.progress(number, len(texts), "Comparing with the steered model")
                ids = self._engine.model.encode_within(text)
                apart = (self._live.logprobs(ids, job) - other.logprobs(ids, job)).abs().max()
                # NaN is never small enough.
                largest = max(largest, float(apart.nan_to_num(nan=torch.inf)))
                n_tokens += len(ids)
        return largest, n_tokens


@contextmanager
def put_in_place(target: Path, suffix: str = "") -> Iterator[Path]:
    """A place to write to, which becomes the target unless something goes wrong.

    Args:
        suffix: Of the file meanwhile, for those who go by it.

    Raises:
        ScopeError: It cannot be written.
    """
    try:
        part = part_of(target)
        part = part.with_name(part.name + suffix)
        try:
            yield part
            part.replace(target)
        finally:
            remove(part)
    except (OSError, SafetensorError) as error:  # the second is how a full disk shows
        raise ScopeError(
            f"{target} cannot be written: {reason_of(error)}.",
            "Make room or allow writing there, or choose another place.",
        ) from error
