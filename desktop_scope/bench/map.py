"""Frames of a map of 100,000 features: whole and close up, in its panel and on a 4K screen."""

from __future__ import annotations

import os
import time

import numpy as np

N_POINTS, N_CLUSTERS = 100_000, 300
SIZES = {"panel": (620, 560), "4k": (3840, 2160)}
ZOOMS = {"whole": 1.0, "4x": 4.0, "32x": 32.0}
_FRAME_MS = 1000 / 60
_FRAMES = 15


def run() -> dict[str, float]:
    """Measure, offscreen unless a platform is named."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from desktop_scope.evidence.mapping.regions import regions
    from desktop_scope.gui import theme
    from desktop_scope.gui.app import application
    from desktop_scope.gui.widgets.point_map import PointMap

    app = application()
    rng = np.random.default_rng(0)
    cluster = rng.integers(N_CLUSTERS, size=N_POINTS)
    middles = rng.random((N_CLUSTERS, 2))
    points = np.clip(middles[cluster] + 0.02 * rng.normal(size=(N_POINTS, 2)), 0, 1)
    rgb = theme.order_rgb(cluster / N_CLUSTERS).astype(np.uint32)
    colors = np.uint32(0xFF000000) | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    words = [f"topic{n}" for n in range(N_CLUSTERS)]
    plane = PointMap()
    found = points.astype(np.float32)
    plane.set_points(found, colors, regions(found, [words[n] for n in cluster]))
    plane.show()
    figures = {}
    for size, (width, height) in SIZES.items():
        plane.resize(width, height)
        app.processEvents()
        for name, zoom in ZOOMS.items():
            plane.show_whole()
            if zoom > 1:
                plane.look_at(0, zoom)
            figures[f"{size}_{name}_ms"] = _frame_ms(plane)
    plane.close()
    slowest = max(value for name, value in figures.items() if name.startswith("panel"))
    return figures | {"panel_over_frame_ratio": slowest / _FRAME_MS}


def _frame_ms(plane: object) -> float:
    """Median of the processor's time: other programs' share of a busy machine does not count."""
    times = []
    for _ in range(_FRAMES):
        start = time.process_time()
        plane.repaint()  # type: ignore[attr-defined]
        times.append((time.process_time() - start) * 1000)
    return float(np.median(times[1:]))
