"""Tracing through all layers, over a plain transformers float32 forward pass of the same prompt."""

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

        ours, other = seconds_in_turn(
            lambda request=request: engine.trace(request, silent_job()), reference
        )
        figures[f"trace_{length}_seconds"] = ours
        figures[f"plain_forward_{length}_seconds"] = other
        figures[f"trace_{length}_ratio"] = ours / other
    return figures
