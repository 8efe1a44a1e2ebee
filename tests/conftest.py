"""What every test stands on: a quiet environment, the demo model, guards against leftovers."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Before anything imports Qt or torch.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_SCALE_FACTOR"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"

import hypothesis
import pytest

from desktop_scope import paths
from desktop_scope.engine.requests import LoadModel, Workspace
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence import own
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.library.demo_model import demo_model
from desktop_scope.workbench import Workbench

# The same examples every time, however slow the machine: a run says something about the change.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

_MODAL = {
    "QDialog": ["exec"],
    "QMenu": ["exec"],
    "QMessageBox": ["exec", "about", "critical", "information", "question", "warning"],
    "QFileDialog": [
        "getExistingDirectory",
        "getOpenFileName",
        "getOpenFileNames",
        "getSaveFileName",
    ],
    "QInputDialog": ["getDouble", "getInt", "getItem", "getText"],
    "QColorDialog": ["getColor"],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the real window run where there is one: under QT_QPA_PLATFORM=xcb."""
    if os.environ["QT_QPA_PLATFORM"] != "xcb":
        for item in items:
            if item.get_closest_marker("xvfb"):
                item.add_marker(pytest.mark.skip(reason="needs QT_QPA_PLATFORM=xcb"))


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The folder for what people look at after a run: screenshots."""
    folder = Path(__file__).parents[1] / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_evidence_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What this user has gathered in the real cache must not decide how tests end."""
    there, here = own.evidence_home(), tmp_path_factory.mktemp("evidence")
    found = own.evidence_home

    def home() -> Path:
        return here if found() == there else found()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "evidence_home", home)
        yield


@pytest.fixture(scope="session")
def demo_model_dir() -> Path:
    """The real demo model, from this user's real cache; the first time it takes half a minute."""
    return demo_model()


@pytest.fixture(scope="session")
def workbench(demo_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """The real demo model, its SAEs and their evidence; loaded once for all tests."""
    bench = Workbench()
    workspace = Workspace((paths.demo_pack(),))
    bench.handle(LoadModel(workspace, device="cpu"), silent_job())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESKTOP_SCOPE_DATA", str(tmp_path_factory.mktemp("data")))
        bench.handle(OpenCatalogue(workspace), silent_job())
    return bench


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKTOP_SCOPE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DESKTOP_SCOPE_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _no_modal_dialogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialog that waits for an answer would hang a test, and surprise a user."""
    widgets = sys.modules.get("PySide6.QtWidgets")
    for class_name, methods in _MODAL.items() if widgets else ():
        for method in methods:
            monkeypatch.setattr(getattr(widgets, class_name), method, _forbidden(class_name))


def _forbidden(class_name: str) -> object:
    def fail(*_: object, **__: object) -> None:
        pytest.fail(f"a modal {class_name} was opened")

    return fail


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """A test that leaves threads running or windows open makes the next one fail."""
    before = set(threading.enumerate())
    yield
    widgets = sys.modules.get("PySide6.QtWidgets")
    if widgets and widgets.QApplication.instance():
        _assert_no_windows(widgets)
    left = [thread for thread in threading.enumerate() if thread not in before]
    left = [thread for thread in left if not type(thread).__module__.startswith("tqdm")]
    for thread in left:
        thread.join(timeout=5)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left running: {alive}"


def _assert_no_windows(widgets: ModuleType) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent

    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    left = [widget for widget in widgets.QApplication.topLevelWidgets() if widget.isVisible()]
    names = [f"{type(widget).__name__} “{widget.windowTitle()}”" for widget in left]
    for widget in left:
        widget.close()  # so that only this test fails
    assert not names, f"windows left open: {names}"
