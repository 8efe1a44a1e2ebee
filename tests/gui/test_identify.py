"""What files and folders that a person gives are, and what is opened then."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from desktop_scope import paths
from desktop_scope.engine.requests import Placement, Workspace
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.library.entries import ModelEntry
from desktop_scope.library.identifying import Identify, identify
from tests.gui.small_lab import fitted_sae, tiny_model

TINY = ModelEntry("org/tiny-llama", Path("there"), "LlamaForCausalLM", 3, 32, 32, 1)


def given(
    *chosen: Path, opened: Workspace | None = None, model: ModelEntry | None = None
) -> Workspace:
    return identify(Identify(chosen, opened, model, waits=False, attempt=1), silent_job())


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "hub")


@pytest.mark.parametrize("name", ["", "config.json", "model.safetensors"])
def test_a_models_folder_and_what_lies_in_it_are_the_model(tiny: Path, name: str) -> None:
    assert given(tiny / name) == Workspace((), tiny)


def test_a_model_and_saes_given_together_are_opened_together(tiny: Path, tmp_path: Path) -> None:
    sae = fitted_sae(tmp_path, 0)
    assert given(sae, tiny) == Workspace((sae,), tiny)


def test_saes_are_added_once_and_corrections_stay(tmp_path: Path) -> None:
    first, second = fitted_sae(tmp_path, 0), fitted_sae(tmp_path, 1)
    move = Placement(
        "x", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post", "none", False, True
    )
    opened = Workspace((first,), Path("there"), (move,))
    assert given(first, second, opened=opened, model=TINY) == Workspace(
        (first, second), Path("there"), (move,)
    )


def test_a_pack_brings_its_own_model_and_its_saes_are_not_listed_twice() -> None:
    opened = Workspace((), Path("there"))
    assert given(paths.demo_pack(), opened=opened, model=TINY) == Workspace((paths.demo_pack(),))


def test_several_models_at_once_are_refused(tmp_path: Path) -> None:
    tiny_model(tmp_path, "org/one")
    tiny_model(tmp_path, "org/two")
    with pytest.raises(ScopeError, match="2 models"):
        given(tmp_path)


def test_a_damaged_file_is_refused_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"no header")
    with pytest.raises(ScopeError, match=r"model\.gguf cannot be opened.*GGUF"):
        given(broken)
    (tmp_path / "gone").mkdir()
    with pytest.raises(ScopeError, match="neither a model nor an SAE"):
        given(tmp_path / "gone")
    with pytest.raises(ScopeError, match="cannot be read"):
        given(tmp_path / "nowhere" / "file.txt")


def test_an_sae_whose_model_is_nowhere_says_which_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ScopeError, match="org/tiny-llama, which was not found"):
        given(fitted_sae(tmp_path, 0))


def test_a_gguf_file_serves_the_pack_that_waits_for_it_and_else_is_opened_alone(
    tmp_path: Path,
) -> None:
    file = tmp_path / "model.gguf"
    key, value = b"general.architecture", b"llama"
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)  # version, tensors, entries
    file.write_bytes(
        head + struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    )
    waiting = Workspace((paths.demo_pack(),))
    request = Identify((file,), waiting, None, waits=True, attempt=1)
    assert identify(request, silent_job()) == Workspace((paths.demo_pack(),), file)
    assert given(file, opened=waiting) == Workspace((), file)
