"""``screenshot``: draw the window without a screen."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from desktop_scope.errors import ScopeError

NAME = "screenshot"
HELP = "Draw the window, at work on a prompt, into a PNG file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--size", default="1440x900", help="WIDTHxHEIGHT in logical pixels")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--scale", type=float, default=1.0, help="2 for a high-density screen")
    parser.add_argument("--prompt", default="My chihuahua barks at presidents.")
    parser.add_argument("--chat", action="store_true", help="as a user turn of a chat")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Open the window offscreen, wait for its work, grab it."""
    try:
        width, height = (int(n) for n in options.size.lower().split("x"))
    except ValueError:
        raise ScopeError(f"--size {options.size} is no size.", "Write --size 1440x900.") from None
    if not (320 <= width <= 8000 and 240 <= height <= 8000 and 0.5 <= options.scale <= 4):
        raise ScopeError("That size cannot be drawn.", "Try --size 1440x900 --scale 1.")
    from desktop_scope.gui.screenshot import save_screenshot

    save_screenshot(
        options.out,
        (width, height),
        options.theme,
        options.scale,
        options.prompt,
        options.chat,
    )
    return {"file": str(options.out)}


def table(result: dict[str, Any]) -> str:
    """For people."""
    return f"Wrote {result['file']}."
