"""Where rules fire on the tokens that are shown."""

from __future__ import annotations

import numpy as np

from desktop_scope.engine.types import Bools, Generation, Rule, Trace


def fires_at(rule: Rule, trace: Trace) -> Bools:
    """Where a rule fires in a text, [T]: as it did there, or would if it was not asked to."""
    fired = np.zeros(trace.n_tokens, bool)
    for firing in trace.firings:
        if firing.rule == rule:
            fired[list(firing.tokens)] = True
            return fired
    for trigger in rule.triggers:
        fired |= trace.acts[trigger.feature.sae].of(trigger.feature.index) > trigger.above
    here = fired.copy()
    for back in range(1, min(rule.within, trace.n_tokens)):
        fired[back:] |= here[:-back]
    return fired


def fires_so_far(rule: Rule, answer: Generation, n_prompt: int) -> Bools:
    """Where a rule has fired in an answer that is being said, one for each of its tokens."""
    fired = np.zeros(len(answer.ids), bool)
    for firing in answer.firings:
        if firing.rule == rule:
            places = np.array(firing.tokens, int) - n_prompt
            fired[places[(places >= 0) & (places < len(fired))]] = True
    return fired
