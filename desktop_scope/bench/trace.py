"""Tracing through all layers, over a plain transformers float32 forward pass of the same prompt.

Ours holds everything from the text to the values that the window shows: tokens, all layers' active
features, the likeliest next tokens, the log-probability of every token. Theirs holds the logits of
every token, from token ids, without a key-value cache. Threads and their waiting are the same.
"""

from __future__ import annotations

from desktop_scope.bench import seconds_in_turn
from desktop_scope.bench.models import demo_engine, plain_model, prompt_of
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.worker import silent_job

LENGTHS = (64, 256)


def run() -> dict[str, float]:
    """Measure."""
    import torch

    engine, plain = demo_engine(), plain_model()
    figures: dict[str, float] = {"threads": float(torch.get_num_threads())}
    for length in LENGTHS:
        prompt = prompt_of(engine, length)
        ids = torch.tensor([engine.model.encode(prompt).ids])
        request = TracePrompt(prompt)

        def reference(ids: torch.Tensor = ids) -> None:
            with torch.inference_mode():
                plain(ids, use_cache=False)

        times = seconds_in_turn(
            lambda request=request: engine.trace(request, silent_job()), reference
        )
        figures[f"trace_{length}_seconds"] = times.ours
        figures[f"plain_forward_{length}_seconds"] = times.other
        figures[f"trace_{length}_ratio"] = times.ratio
    return figures
