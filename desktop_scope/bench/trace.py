"""Tracing through all layers, over a plain transformers float32 forward pass of the same prompt.

Ours holds everything from the text to the values that the window shows: tokens, all layers' active
features, the likeliest next tokens, the log-probability of every token. Theirs holds the logits of
every token, from token ids, without a key-value cache. Threads and their waiting are the same.
"""

from __future__ import annotations

from desktop_scope.bench.models import over_plain_forward
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.worker import silent_job

LENGTHS = (64, 256)


def run() -> dict[str, float]:
    """Measure."""
    return over_plain_forward(
        "trace",
        LENGTHS,
        lambda engine, prompt: engine.trace(TracePrompt(prompt), silent_job()),
    )
