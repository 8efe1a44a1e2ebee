"""Why one answer rather than another, over a plain transformers forward pass of the same text.

Ours holds the effect of every feature of all layers at every token, from the prompt's text on.
"""

from __future__ import annotations

from desktop_scope.bench import seconds_in_turn
from desktop_scope.bench.models import demo_engine, plain_model, prompt_of
from desktop_scope.engine.questions import ExplainAnswer, Question
from desktop_scope.engine.worker import silent_job

LENGTHS = (40, 128)


def run() -> dict[str, float]:
    """Measure."""
    import torch

    engine, plain = demo_engine(), plain_model()
    figures: dict[str, float] = {"threads": float(torch.get_num_threads())}
    for length in LENGTHS:
        prompt = prompt_of(engine, length)
        ids = torch.tensor([engine.model.encode(prompt).ids])
        request = ExplainAnswer(Question(prompt, " she", " he"))

        def reference(ids: torch.Tensor = ids) -> None:
            with torch.inference_mode():
                plain(ids, use_cache=False)

        times = seconds_in_turn(
            lambda request=request: engine.explain(request, silent_job()), reference
        )
        figures[f"why_{length}_seconds"] = times.ours
        figures[f"plain_forward_{length}_seconds"] = times.other
        figures[f"why_{length}_ratio"] = times.ratio
    return figures
