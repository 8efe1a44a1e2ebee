"""Unfinished files: written beside their place under a name that says whose they are."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import psutil

_NAME = re.compile(r"\..+\.(\d+)\.part")


def part_of(target: Path) -> Path:
    """Where this program writes the target until it is whole.

    The folder is made, and what programs that died left there is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in target.parent.glob(".*.part"):
        owner = _NAME.fullmatch(path.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            remove(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    remove(part)  # of a dead program that had the same number
    return part


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing happens when it is not there."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder, which some systems say one way and some another
        shutil.rmtree(path, ignore_errors=True)
