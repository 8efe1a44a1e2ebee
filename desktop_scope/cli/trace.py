"""``trace``: which features a text lights up, at every layer."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    columns,
    feature_json,
    known,
    open_workbench,
    place,
    terminal_job,
    visible,
)
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureId, Prompt, Trace
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "trace"
HELP = "Features at every layer, for one text."

_LAYERS = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    parser.add_argument("--layers", default="", help="such as 3,7-12; all by default")
    parser.add_argument("--top", type=int, default=10, help="features per layer and per token")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Trace the prompt."""
    if options.top < 1:
        raise ScopeError("--top must be at least 1.", "Try --top 10.")
    bench = open_workbench(options)
    layers = parse_layers(options.layers, bench.engine.model.info.n_layers)
    infos = bench.engine.infos
    request = TracePrompt(Prompt(options.prompt, options.chat))
    trace = bench.engine.trace(request, terminal_job())
    tokens = [
        {
            "index": i,
            "id": int(trace.ids[i]),
            "text": text,
            "masked": bool(trace.masked[i]),
            "logprob": None if np.isnan(trace.logprobs[i]) else float(trace.logprobs[i]),
        }
        for i, text in enumerate(trace.texts)
    ]
    following = zip(trace.next_texts, trace.next_probs.tolist(), strict=True)
    return {
        "model": bench.engine.model.info.id,
        "tokens": tokens,
        "layers": [
            _sae(trace, bench, slot, options.top)
            for slot, info in enumerate(infos)
            if info.layer in layers
        ],
        "next": [{"token": text, "probability": p} for text, p in following],
        "seconds": trace.seconds,
    }


def parse_layers(text: str, n_layers: int) -> list[int]:
    """``3,7-12`` → [3, 7, 8, … 12]; all layers when empty.

    Raises:
        ScopeError: Not numbers, or layers that do not exist.
    """
    if not text:
        return list(range(n_layers))
    layers: set[int] = set()
    for part in text.split(","):
        match = _LAYERS.fullmatch(part.strip())
        if match is None:
            raise ScopeError(f"“{text}” does not name layers.", "Write --layers 3,7-12.")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < n_layers:
            raise ScopeError(
                f"“{part.strip()}” names no layers, or some that do not exist.",
                f"This model has layers 0 to {n_layers - 1}.",
            )
        layers.update(range(first, last + 1))
    return sorted(layers)


def _sae(trace: Trace, bench: Workbench, slot: int, top: int) -> dict[str, Any]:
    acts, info = trace.acts[slot], bench.engine.infos[slot]
    rows = acts.rows()
    peak = np.zeros(info.d_sae, np.float32)
    np.maximum.at(peak, acts.indices, acts.values)
    total = np.bincount(acts.indices, acts.values, info.d_sae)
    best = [int(i) for i in np.argsort(-peak, kind="stable")[:top] if peak[i] > 0]
    features = []
    for index in best:
        feature = FeatureId(slot, index)
        hits = acts.indices == index
        features.append(
            feature_json(bench.engine.infos, feature, bench.catalogue.label(feature))
            | {
                "max": float(peak[index]),
                "max_token": int(rows[hits][acts.values[hits].argmax()]),
                "total": float(total[index]),
                "density": known(bench.catalogue.density(feature)),
            }
        )
    encoded = int((~trace.masked).sum())
    return {
        "sae": info.id,
        "layer": info.layer,
        "hook_name": info.hook_name,
        "l0": len(acts.indices) / max(encoded, 1),
        "features": features,
        "by_token": [_strongest(*acts.at(token), top) for token in range(trace.n_tokens)],
    }


def _strongest(indices: np.ndarray, values: np.ndarray, top: int) -> list[dict[str, Any]]:
    order = np.argsort(-values, kind="stable")[:top]
    return [{"index": int(indices[i]), "value": float(values[i])} for i in order]


def table(result: dict[str, Any]) -> str:
    """For people."""
    tokens = result["tokens"]
    lines = [" ".join(visible(token["text"]) for token in tokens), ""]
    rows: list[list[object]] = [["layer", "feature", "strongest", "on", "fires on", "label"]]
    for layer in result["layers"]:
        for number, f in enumerate(layer["features"]):
            rows.append(
                [
                    place(layer) if number == 0 else "",
                    f["index"],
                    f"{f['max']:.1f}",
                    visible(tokens[f["max_token"]]["text"]),
                    "–" if f["density"] is None else f"{f['density']:.2%}",
                    f"{f['label']} ({f['label_source']})",
                ]
            )
    lines.append(columns(rows, right=frozenset({0, 1, 2, 4})))
    following = ", ".join(
        f"{visible(n['token'])} {n['probability']:.0%}" for n in result["next"][:5]
    )
    lines += ["", f"Next: {following}", f"Traced in {result['seconds']:.2f} s."]
    return "\n".join(lines)
