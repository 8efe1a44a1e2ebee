"""From files to a model that answers: ours over plain transformers, files warm."""

from __future__ import annotations

import time

import psutil

from desktop_scope import paths
from desktop_scope.bench.models import demo_engine, plain_model
from desktop_scope.engine.devices import import_torch
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.worker import silent_job


def run() -> dict[str, float]:
    """Measure."""
    start = time.perf_counter()
    import_torch()
    imported = time.perf_counter() - start
    start = time.perf_counter()
    plain = plain_model()
    theirs = time.perf_counter() - start
    del plain
    process = psutil.Process()
    before = process.memory_info().rss
    start = time.perf_counter()
    engine = demo_engine()
    ours = time.perf_counter() - start

    from desktop_scope.evidence.catalogue import Catalogue

    start = time.perf_counter()
    Catalogue.open(Workspace((paths.demo_pack(),)), engine, silent_job())
    evidence = time.perf_counter() - start
    grown = process.memory_info().rss - before
    return {
        "import_torch_seconds": imported,
        "plain_model_seconds": theirs,
        "model_and_saes_seconds": ours,
        "evidence_and_labels_seconds": evidence,
        "load_ratio": ours / theirs,
        "memory_over_weights_ratio": grown / engine.model.info.bytes,
    }
