"""Really switching off what is said to matter: each feature at its token, and all of them.

What is measured is how far ``m = log p(answer) − log p(instead)`` falls. The SAE's error is kept,
and later layers are computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from desktop_scope.engine.ablating import Run, likelihoods, run_batch
from desktop_scope.engine.fork import Fork, text_of
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.questions import Cause, ListRunners, Question, Runners, Verification
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureId, Floats, Intervention, Mode, Positions
from desktop_scope.engine.worker import Job

_N_RUNNERS = 10


def verify_causes(
    model: LanguageModel,
    saes: Sequence[Sae],
    question: Question,
    causes: Sequence[Cause],
    job: Job,
) -> Verification:
    """Measure the effect of each cause, and of all at once; in batches.

    Raises:
        ScopeError: There is no such feature, or it cannot be switched off.
        Cancelled: The job was.
    """
    measured, together = verify_fork(model, saes, Fork.of(model, question), causes, job)
    return Verification(question, tuple(causes), measured, together)


def verify_fork(
    model: LanguageModel, saes: Sequence[Sae], fork: Fork, causes: Sequence[Cause], job: Job
) -> tuple[Floats, float]:
    """By how much m falls with each cause off, [N], and with all of them."""
    tried = [(), *((cause,) for cause in causes), tuple(causes)]
    asked = [
        (Run(fork.text, _off(fork, some, row)), answer)
        for some in tried
        for row, answer in enumerate((fork.answer, fork.instead))
    ]
    sides = likelihoods(model, saes, asked, job, "Switching features off").reshape(-1, 2)
    m = sides[:, 0] - sides[:, 1]
    fallen = (m[0] - m[1:]).astype(np.float32)
    return fallen[:-1], float(fallen[-1])


def list_runners(model: LanguageModel, request: ListRunners, job: Job) -> Runners:
    """The likeliest next tokens.

    Raises:
        ScopeError: The text is empty or too long.
    """
    text = text_of(model, request.prompt, request.before)
    with torch.inference_mode():
        hidden = run_batch(model, (), [Run(text)], job)
        probs, ids = model.logits(hidden[0, -1]).softmax(-1).topk(_N_RUNNERS)
    texts = tuple(model.texts[i] for i in ids.tolist())
    return Runners(
        request.prompt, request.before, tuple(ids.tolist()), texts, tuple(probs.tolist())
    )


def _off(fork: Fork, causes: Sequence[Cause], row: int) -> tuple[Intervention, ...]:
    """What is switched off in the text with one of the answers: 0 the answer, 1 the other."""
    tokens: dict[FeatureId, list[int]] = {}
    for cause in causes:
        where, position = fork.place(cause.token)
        if where in (None, row):
            tokens.setdefault(cause.feature, []).append(position)
    return tuple(
        Intervention(feature, mode=Mode.ABLATE, positions=Positions(tokens=tuple(places)))
        for feature, places in tokens.items()
    )
