"""Draw every widget in light and dark to PNG files, to look at them.

Usage: python tests/gui/gallery.py FOLDER [NAME …]; QT_SCALE_FACTOR=2 for the other scale.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtWidgets import QApplication, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.line_plot import LinePlot
from desktop_scope.gui.widgets.token_view import TokenView

PROMPT = (
    "<|im_start|>|system|\n|You| are| a| helpful| assistant|.|<|im_end|>|\n|<|im_start|>|user|\n|"
    "My| chi|hua|hua| bar|ks| at| presidents|.| Why|?|<|im_end|>|\n|<|im_start|>|assistant|\n"
)
ANSWER = (
    "A| dog| that| bar|ks| is| usually| alert|,| ex|cited| or| afraid|.| Try|:|\n\n|  |-| reward|"
    " quiet|<0xF0>|<0x9F>|<0x90>|\t|x|;"
)


def split(text: str) -> list[str]:
    """Tokens written with bars between them."""
    marked = text.replace("<|im_start|>", "<S>").replace("<|im_end|>", "<E>")
    back = {"<S>": "<|im_start|>", "<E>": "<|im_end|>"}
    return [back.get(part, part) for part in marked.split("|") if part]


def token_view() -> QWidget:
    view = TokenView()
    prompt, answer = split(PROMPT), split(ANSWER)
    texts = prompt + answer
    masked = np.zeros(len(texts), bool)
    masked[[0, 11]] = True
    values = np.zeros(len(texts), np.float32)
    start = texts.index(" chi")
    values[start : start + 8] = [3.1, 11, 24, 19, 12, 2, 6, 1]
    values[len(prompt) + 1 : len(prompt) + 8] = [22, 4, 9, 13, 0, 3, 0]
    values[len(prompt) - 3] = 24
    view.set_tokens(texts, masked, len(prompt))
    view.set_values(values, 24.0)
    rng = np.random.default_rng(1)
    pins = [
        (name, rng.random(len(texts)) ** 4, theme.pinned_color(i))
        for i, name in enumerate(["noise and sound", "heads of state"])
    ]
    view.set_pinned(pins)
    view.set_current(start + 2)
    view.set_hovered(len(prompt) + 1)
    view.resize(620, 300)
    return view


def _layers(n_layers: int, n_tokens: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.random((n_layers, n_tokens)) ** 9 * 8
    layer = np.arange(n_layers)[:, None]
    for token, width, size in ((6, 5, 24), (8, 7, 18), (15, 4, 12)):
        values[:, [token % n_tokens]] += size * np.exp(-(((layer - 17) / width) ** 2))
    return values.astype(np.float32)


def heat_map() -> QWidget:
    texts = split(PROMPT) + split(ANSWER)
    view = HeatMap()
    masked = np.zeros(len(texts), bool)
    masked[[0, 11]] = True
    values = _layers(30, len(texts)) * ~masked
    view.set_data(values, 24, masked, None, texts)
    match = np.exp(-(((np.arange(30) - 17) / 11) ** 2))
    view.set_row_alpha(match)
    view.set_row_notes([f"{m:.2f}" for m in match])
    view.set_current(17, 6)
    view.set_hovered(12, 30)
    view.resize(680, 320)
    return view


def heat_map_long() -> QWidget:
    view = HeatMap()
    values = np.tile(_layers(48, 64), (1, 8))
    view.set_data(values, 24, None, None, [" word"] * 512)
    view.set_current(20, 200)
    view.resize(680, 260)
    return view


def heat_map_short() -> QWidget:
    view = HeatMap()
    view.set_data(
        _layers(12, 10) - 5,
        20,
        None,
        None,
        split("The| dog| bar|ks| at| the| presidents| of|."),
        True,
    )
    view.set_current(5, 3)
    view.resize(680, 180)
    return view


def line_plot() -> QWidget:
    texts = split(PROMPT) + split(ANSWER)
    view = LinePlot()
    values = _layers(30, len(texts))
    names = ["dogs and pets", "noise and sound", "heads of state"]
    view.set_lines([(n, values[14 + i], theme.pinned_color(i)) for i, n in enumerate(names)], texts)
    view.set_current(6)
    view.resize(680, 110)
    return view


GALLERY: dict[str, Callable[[], QWidget]] = {
    function.__name__: function
    for function in (token_view, heat_map, heat_map_long, heat_map_short, line_plot)
}


def main() -> None:
    """Write the pictures."""
    app = QApplication(sys.argv[:1])
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or list(GALLERY)
    scale = os.environ.get("QT_SCALE_FACTOR", "1")
    for scheme in ("light", "dark"):
        theme.apply(app, scheme)
        for name in names:
            widget = GALLERY[name]()
            widget.show()
            app.processEvents()
            widget.grab().save(str(folder / f"{name}-{scheme}-{scale}.png"))
            widget.close()
            widget.deleteLater()


if __name__ == "__main__":
    main()
