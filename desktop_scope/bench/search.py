"""Search as one types: every prefix of some queries, over all labels; and over two million."""

from __future__ import annotations

import time

import numpy as np

from desktop_scope.bench import search_scale
from desktop_scope.bench.models import demo_engine
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.requests import RankFeatures, Scope

QUERIES = ("dogs and pets", "the", "full stop", "python code", "zzz", "king james")
_TARGET_MS = 10


def run() -> dict[str, float]:
    """Measure."""
    from desktop_scope import paths
    from desktop_scope.evidence.catalogue import Catalogue

    catalogue = Catalogue.open(Workspace((paths.demo_pack(),)), demo_engine(), silent_job())
    times = []
    for _ in range(5):
        for query in QUERIES:
            for end in range(1, len(query) + 1):
                start = time.perf_counter()
                catalogue.rank(RankFeatures(Scope.ALL, words=query[:end]))
                times.append((time.perf_counter() - start) * 1000)
    worst = float(np.max(times))
    return {
        "keystroke_median_ms": float(np.median(times)),
        "keystroke_worst_ms": worst,
        "worst_over_target_ratio": worst / _TARGET_MS,
        **{f"two_million_{name}": value for name, value in search_scale.run().items()},
    }
