"""Gathering evidence, over a plain transformers float32 forward pass of the same tokens.

Ours holds all that evidence takes: reading the rows, encoding every layer, gathering. Theirs holds
the logits of every token, a row of at most 256 tokens at a time. The text is the demo pack's own;
the first block, in which everything is new, is the warm-up.
"""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

from desktop_scope.bench import seconds_in_turn
from desktop_scope.bench.models import demo_engine, plain_model
from desktop_scope.engine.worker import silent_job

_TURNS = 3


def run() -> dict[str, float]:
    """Measure."""
    import torch

    from desktop_scope.evidence.building.builder import ROWS_PER_BLOCK, Builder
    from desktop_scope.evidence.building.corpus import default_corpus

    engine, plain = demo_engine(), plain_model()
    corpus, _ = default_corpus(engine.model)
    rows = corpus.rows()

    def reference() -> None:
        for row in islice(rows, ROWS_PER_BLOCK):
            with torch.inference_mode():
                plain(torch.from_numpy(row.ids)[None].long(), use_cache=False)

    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(engine, corpus, Path(folder))
        times = seconds_in_turn(lambda: builder.read_block(silent_job()), reference, _TURNS)
        tokens = builder.standing.tokens / (_TURNS + 1)
        builder.close()
    return {
        "threads": float(torch.get_num_threads()),
        "tokens": tokens,
        "index_seconds": times.ours,
        "plain_forward_seconds": times.other,
        "index_tokens_per_second": tokens / times.ours,
        "index_ratio": times.ratio,
    }
