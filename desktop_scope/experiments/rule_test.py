"""How well a rule tells the user's own examples apart."""

from __future__ import annotations

import torch

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.rules import check_rule
from desktop_scope.engine.sae import sae_of
from desktop_scope.engine.trace import run
from desktop_scope.engine.types import Firing, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.requests import TestRule
from desktop_scope.experiments.types import RuleCase, RuleExample, RuleTest


def try_rule(engine: Engine, request: TestRule, job: Job) -> RuleTest:
    """Read every example without steering, and see where the rule fires.

    Raises:
        ScopeError: There are no examples, or the rule makes no sense.
    """
    check_rule(request.rule)
    if not request.examples:
        raise ScopeError("There are no examples.", "Write some, and say where it should fire.")
    cases = []
    for number, example in enumerate(request.examples):
        job.progress(number, len(request.examples), "Trying the rule")
        cases.append(_case(engine, request, example, job))
    return RuleTest(request.rule, tuple(cases))


def _case(engine: Engine, request: TestRule, example: RuleExample, job: Job) -> RuleCase:
    model = engine.model
    ids = model.encode(Prompt(example.text, example.chat)).ids
    triggers = request.rule.triggers
    saes = [sae_of(engine.saes, trigger.feature) for trigger in triggers]
    points = [point for sae in saes for point in sae.weights.reads]
    fired = torch.zeros(len(ids), dtype=torch.bool)
    peak = 0.0
    with torch.inference_mode():
        kept = run(model, torch.tensor([ids], device=model.device), points, job)
        at = torch.arange(len(ids), device=model.device)[None]
        for trigger, sae in zip(triggers, saes, strict=True):
            x = kept.read_by(sae)[None]
            f = sae.reader(trigger.feature.index)(x, at.to(x.device)).f[0].cpu()
            fired |= f > trigger.above
            peak = max(peak, float(f.max()) / max(trigger.above, 1e-9))
    tokens = tuple(fired.nonzero()[:, 0].tolist())
    texts = tuple(model.texts[i] for i in ids)
    return RuleCase(example, texts, Firing(request.rule, tokens, len(ids)), peak)
