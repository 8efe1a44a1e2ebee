"""What the benches measure: our engine, and plain transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from desktop_scope import paths
from desktop_scope.bench import seconds_in_turn
from desktop_scope.engine.devices import import_torch
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.requests import LoadModel, Workspace
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.library.demo_model import demo_model
from desktop_scope.library.opening import open_engine

_TEXT = (
    "The committee met on Thursday to discuss the new parking rules, and most members agreed that "
    "the current signs are confusing. My chihuahua barks at presidents whenever they appear on "
    "television, which happens more often than one would think in a quiet mountain village. "
)


def demo_engine() -> Engine:
    """The demo pack on this machine's processor."""
    import_torch()
    request = LoadModel(Workspace((paths.demo_pack(),)), device="cpu", dtype="float32")
    return open_engine(request, silent_job())


def plain_model() -> Any:
    """The same model as transformers gives it: float32, on the processor, nothing changed."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        demo_model(), dtype=torch.float32, attn_implementation="sdpa"
    ).eval()


def prompt_of(engine: Engine, n_tokens: int) -> Prompt:
    """A raw prompt of exactly so many tokens, its first token included."""
    text = _TEXT * (n_tokens // 40 + 1)
    ids = engine.model.encode(Prompt(text, chat=False)).ids[1:n_tokens]
    return Prompt(engine.model.decode(ids), chat=False)


def over_plain_forward(
    name: str, lengths: tuple[int, ...], work: Callable[[Engine, Prompt], object]
) -> dict[str, float]:
    """Time work on prompts of some lengths, and a plain forward pass over the same tokens."""
    import torch

    engine, plain = demo_engine(), plain_model()
    figures: dict[str, float] = {"threads": float(torch.get_num_threads())}
    for length in lengths:
        prompt = prompt_of(engine, length)
        ids = torch.tensor([engine.model.encode(prompt).ids])

        def reference(ids: torch.Tensor = ids) -> None:
            with torch.inference_mode():
                plain(ids, use_cache=False)

        times = seconds_in_turn(lambda prompt=prompt: work(engine, prompt), reference)
        figures[f"{name}_{length}_seconds"] = times.ours
        figures[f"plain_forward_{length}_seconds"] = times.other
        figures[f"{name}_{length}_ratio"] = times.ratio
    return figures
