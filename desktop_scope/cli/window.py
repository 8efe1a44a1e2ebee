"""No verb: open the window."""

from __future__ import annotations

import argparse


def run(options: argparse.Namespace) -> int:
    """Open the window and stay until it is closed."""
    from desktop_scope.gui.app import run_window

    return run_window()
