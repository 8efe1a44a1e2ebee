"""What may load what, tried in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module", ["desktop_scope.gui.app", "desktop_scope.cli", "desktop_scope.workbench"]
)
def test_torch_is_not_loaded_before_it_is_needed(module):
    run(f"""
        import sys, {module}
        heavy = {{"torch", "transformers", "tokenizers", "gguf"}} & set(sys.modules)
        assert not heavy, heavy
    """)


def test_everything_but_the_window_works_without_qt():
    run("""
        import importlib, pkgutil, sys
        for name in ("PySide6", "shiboken6", "pyqtgraph", "superqt", "qtpy"):
            sys.modules[name] = None  # importing it fails
        import desktop_scope
        for module in pkgutil.walk_packages(desktop_scope.__path__, "desktop_scope."):
            if not module.name.startswith(("desktop_scope.gui.", "desktop_scope.__main__")):
                importlib.import_module(module.name)
        for name in ("state", "flow", "actions"):
            importlib.import_module(f"desktop_scope.gui.{name}")
        assert "desktop_scope.engine.engine" in sys.modules
    """)
