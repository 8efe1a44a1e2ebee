"""``list``: models and SAEs found on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from desktop_scope.cli.common import columns

NAME = "list"
HELP = "Models, SAEs and packs found on this machine."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb has no options."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Look, without loading anything."""
    from desktop_scope.library.inventory import models, packs, saes

    return {"models": models(), "saes": saes(), "packs": packs()}


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = ["Models"]
    if result["models"]:
        lines.append(
            columns(
                [m["id"], m["architecture"], f"{m['n_layers']} layers", m["path"]]
                for m in result["models"]
            )
        )
    else:
        lines.append("none yet; get the demo model with: desktop-scope demo --fetch-only")
    lines.append("\nPacks")
    lines.append(columns([p["id"], f"{p['n_saes']} SAEs", p["path"]] for p in result["packs"]))
    lines.append("\nSAEs")
    lines.append(
        columns([s["id"], s["architecture"], s["d_sae"], s["hook_name"]] for s in result["saes"])
    )
    return "\n".join(lines)
