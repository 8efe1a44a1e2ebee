"""Device, number type, threads, and the gentle import of torch."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    import torch

# A worker that computes in pure Python hands the interpreter back to the window this often.
_SWITCH_INTERVAL_S = 0.0001

QUANTISED = ("8bit", "4bit")  # number types of weights that are unpacked as they are used


def prepare_process() -> None:
    """Settings that only work before torch is loaded. Cheap; call it first thing."""
    # Threads that wait for each other spin for about as long as it takes to wake one up, then
    # sleep. Spinning on, as is the default, made one forward pass take ten seconds whenever another
    # process was busy; sleeping at once makes an answer take half as long again on an idle machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Large pages for large tensors: every weight is read once per pass, page by page.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


@contextmanager
def no_collection() -> Iterator[None]:
    """Import without garbage collection, which would go through all the new objects in vain."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """The same for torch and what builds on it: what was imported is never gone through again.

    It would take 250 ms. What else there is by then is left out, too; so no reference cycle that
    is to go some day may hold on to a model.
    """
    n_modules = len(sys.modules)
    with no_collection():
        yield
        if len(sys.modules) > n_modules:
            gc.freeze()


def import_torch() -> None:
    """Load torch and the modelling code without holding up other threads.

    The shared libraries are opened by a foreign call, which releases the interpreter lock;
    ``import`` would hold it for half a second.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ScopeError("PyTorch is not installed.", "Run packaging/run.sh, or pip install torch.")
    if "torch" not in sys.modules and sys.platform.startswith("linux"):
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
        for name in ("libc10.so", "libtorch_cpu.so", "libtorch.so"):
            dlopen(os.fsencode(Path(spec.origin).parent / "lib" / name), os.RTLD_NOW)
    with importing():
        import torch  # noqa: F401
        import transformers

        transformers.utils.logging.disable_progress_bar()


def use_threads(spare_cores: int) -> int:
    """Let torch use all cores but ``spare_cores`` (at least one); returns the number."""
    import torch

    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    threads = max(1, available - spare_cores)
    torch.set_num_threads(threads)
    return threads


def choose_device(name: str) -> torch.device:
    """``auto`` is the first of CUDA, Apple's MPS and the processor that is there.

    Raises:
        ScopeError: The device asked for is not there.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, present in there.items() if present))
    if not there.get(name, False):
        have = ", ".join(device for device, present in there.items() if present)
        raise ScopeError(f"There is no device “{name}” here.", f"Choose one of: auto, {have}.")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The type that a model computes in; ``auto`` is float32 on a processor, bfloat16 on a GPU.

    ``8bit`` and ``4bit`` weights are unpacked to the type that ``auto`` is.

    Raises:
        ScopeError: The type is unknown, the processor would only emulate it, or what unpacks
            the weights is not installed.
    """
    import torch

    if name in QUANTISED and importlib.util.find_spec("bitsandbytes") is None:
        raise ScopeError(
            f"{name} weights need the package bitsandbytes, which is not installed.",
            "Install it (pip install bitsandbytes), or choose bfloat16.",
        )
    if name == "auto" or name in QUANTISED:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name == "float32":
        return torch.float32
    if name not in ("bfloat16", "float16"):
        raise ScopeError(
            f"Unknown number type “{name}”.",
            f"Choose auto, float32, bfloat16, float16, {' or '.join(QUANTISED)}.",
        )
    mkldnn = torch.ops.mkldnn
    here = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}[name]
    if device.type == "cpu" and not getattr(mkldnn, here)():
        raise ScopeError(f"This processor has no {name} arithmetic.", "Choose float32.")
    chosen: torch.dtype = getattr(torch, name)
    return chosen
