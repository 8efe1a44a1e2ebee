"""Why one answer rather than another, over a plain transformers forward pass of the same text.

Ours holds the effect of every feature of all layers at every token, from the prompt's text on.
"""

from __future__ import annotations

from desktop_scope.bench.models import over_plain_forward
from desktop_scope.engine.questions import ExplainAnswer, Question
from desktop_scope.engine.worker import silent_job

LENGTHS = (40, 128)


def run() -> dict[str, float]:
    """Measure."""
    return over_plain_forward(
        "why",
        LENGTHS,
        lambda engine, prompt: engine.explain(
            ExplainAnswer(Question(prompt, " she", " he")), silent_job()
        ),
    )
