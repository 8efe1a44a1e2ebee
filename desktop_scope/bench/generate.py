"""Steered decoding in tokens per second, over plain ``generate`` without steering.

Both are greedy without a repetition penalty and run the model as often: once over the prompt, then
once for every new token but the first.
"""

from __future__ import annotations

from desktop_scope.bench import seconds_in_turn
from desktop_scope.bench.models import demo_engine, plain_model, prompt_of
from desktop_scope.engine.requests import Generate
from desktop_scope.engine.types import FeatureId, Intervention, Sampling
from desktop_scope.engine.worker import silent_job

N_PROMPT, N_NEW = 16, 64


def run() -> dict[str, float]:
    """Measure."""
    import torch

    engine, plain = demo_engine(), plain_model()
    prompt = prompt_of(engine, N_PROMPT)
    ids = torch.tensor([engine.model.encode(prompt).ids])
    steering = (Intervention(FeatureId(17, 3988), 20.0),)
    sampling = Sampling(max_new_tokens=N_NEW, repetition_penalty=1.0)
    # Both sides say exactly N_NEW tokens; a least number would cost plain ``generate`` time.
    engine.model.stop_ids = frozenset()
    plain.generation_config.eos_token_id = None

    def ours() -> None:
        engine.generate(Generate(prompt, (steering,), sampling), silent_job())

    def reference() -> None:
        with torch.inference_mode():
            plain.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=N_NEW,
                do_sample=False,
                pad_token_id=0,
            )

    times = seconds_in_turn(ours, reference, n=7)
    return {
        "threads": float(torch.get_num_threads()),
        "steered_tokens_per_second": N_NEW / times.ours,
        "plain_generate_tokens_per_second": N_NEW / times.other,
        "generate_ratio": 1 / times.ratio,
    }
