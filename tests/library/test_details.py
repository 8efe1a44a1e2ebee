"""What SAE files say of themselves: read once, remembered, and never at the others' cost."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_library import D_MODEL, D_SAE, gemma_scope, hub, model, saelens, write

from desktop_scope.engine.worker import Event, Job, Partial, silent_job
from desktop_scope.errors import Cancelled
from desktop_scope.library import folders, inventory
from desktop_scope.library.entries import Library, SaeEntry
from desktop_scope.library.requests import ReadDetails, ScanLibrary


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache with a model, an SAE for it, one of SAELens, and one that is damaged."""
    root = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(root))
    hub(root, "google/gemma-2-2b", model())
    params = "layer_12/width_16k/average_l0_82/params.npz"
    hub(root, "google/gemma-scope-2b-pt-res", {params: gemma_scope()})
    good = {f"good/{name}": content for name, content in saelens("gpt2").items()}
    hub(root, "org/saes", good | {"bad/cfg.json": b"{", "bad/sae_weights.safetensors": b"half"})
    return root


def scanned(*roots: Path) -> Library:
    return inventory.scan_library(ScanLibrary(roots), silent_job())


def read(library: Library) -> dict[str, SaeEntry]:
    found = inventory.read_details(ReadDetails(library.saes), silent_job())
    return {sae.id: sae for sae in found}


def test_details_are_what_the_files_say():
    found = read(scanned())
    sae = found["google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82"]
    (one,) = sae.details
    assert one.format == "Gemma Scope"
    assert (one.architecture, one.layer, one.d_in, one.d_sae) == ("jumprelu", 12, D_MODEL, D_SAE)
    assert one.hook_name == "blocks.12.hook_resid_post"
    assert (one.model, one.declared_l0) == ("google/gemma-2-2b", 82)
    (other,) = found["org/saes/good"].details
    assert (other.format, other.architecture, other.layer) == ("SAELens", "relu", 5)


def test_one_that_cannot_be_opened_says_why_and_does_not_hide_the_others():
    found = read(scanned())
    assert not found["org/saes/bad"].details
    assert found["org/saes/bad"].problem
    assert sum(bool(sae.details) for sae in found.values()) == len(found) - 1


def test_a_file_that_is_gone_meanwhile_says_so():
    library = scanned()
    gone = replace(library.saes[0], path=Path("/nowhere/params.npz"))
    (found,) = inventory.read_details(ReadDetails((gone,)), silent_job())
    assert "/nowhere/params.npz" in found.problem


def test_what_was_read_is_known_at_the_next_scan():
    before = read(scanned())
    after = {sae.id: sae for sae in scanned().saes}
    assert {name for name, sae in after.items() if not sae.details} == {"org/saes/bad"}
    assert after["org/saes/good"] == before["org/saes/good"]


def test_a_changed_file_is_read_again(hub_cache):
    read(scanned())
    (config,) = hub_cache.glob("models--org--saes/snapshots/*/good/cfg.json")
    config.write_text(config.read_text("utf-8").replace("blocks.5", "blocks.11"), "utf-8")
    (sae,) = (sae for sae in scanned().saes if sae.id == "org/saes/good")
    assert not sae.details
    assert read(scanned())["org/saes/good"].details[0].layer == 11


def test_a_damaged_file_that_was_mended_is_read(hub_cache):
    read(scanned())
    (bad,) = hub_cache.glob("models--org--saes/snapshots/*/bad")
    write(bad, saelens("gpt2"))
    found = read(scanned())["org/saes/bad"]
    assert found.details
    assert not found.problem


@pytest.mark.parametrize("damage", [b"", b"{", b'{"reader": 3}', b"\xff" * 99])
def test_a_damaged_memory_is_made_anew(damage, cache):
    before = read(scanned())
    (cache / "saes.json").write_bytes(damage)
    assert read(scanned()) == before


def test_what_was_read_before_it_was_stopped_is_kept():
    library = scanned()
    job = silent_job()

    def check() -> None:
        if asked.append(1) or len(asked) > 2:
            raise Cancelled

    asked: list[int] = []
    job.check = check
    with pytest.raises(Cancelled):
        inventory.read_details(ReadDetails(library.saes), job)
    known = [bool(sae.details) for sae in scanned().saes]
    assert 0 < sum(known) < len(known) - 1


def test_results_under_way_are_sent(monkeypatch):
    monkeypatch.setattr("desktop_scope.library.scan._SHOWN_EVERY_S", -1)
    events: list[Event] = []
    whole = inventory.scan_library(ScanLibrary(), Job(1, ScanLibrary(), events.append))
    parts = [event.payload for event in events if isinstance(event, Partial)]
    assert parts
    assert all(isinstance(part, Library) for part in parts)
    assert {m.id for part in parts for m in part.models} <= {m.id for m in whole.models}


def test_the_demo_model_has_its_id_wherever_it_lies(cache, tmp_path):
    sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    write(cache / "models" / sha256, model())
    write(cache / "models" / f"{sha256}-bfloat16", model())
    write(cache / "models" / ("0" * 64), model())
    write(cache / "downloads", {"SmolLM2-135M-Instruct.Q4_1.gguf": b""})
    found = [m.id for m in scanned().models]
    assert found.count("HuggingFaceTB/SmolLM2-135M-Instruct") == 3
    assert "0" * 64 in found


def test_added_folders_are_searched_and_an_unplugged_one_is_told(tmp_path):
    write(tmp_path / "disk" / "m", model())
    folders.add_folder(tmp_path / "disk")
    assert "m" in [found.id for found in scanned().models]
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    assert scanned().unreadable == (tmp_path / "disk",)
    assert "m" in [found.id for found in scanned(tmp_path / "elsewhere").models]


@pytest.mark.parametrize("model_id", ["google/gemma-2-2b", "Google/gemma-2-2B-pt"])
def test_a_model_is_found_by_its_id(model_id):
    found = inventory.find_model(model_id)
    assert found is not None
    assert found.id == "google/gemma-2-2b"


def test_a_model_that_is_not_here_or_incomplete_is_not_found(hub_cache):
    assert inventory.find_model("google/gemma-2-9b") is None
    (weights,) = hub_cache.glob("models--google--gemma-2-2b/snapshots/*/model.safetensors")
    weights.unlink()
    assert inventory.find_model("google/gemma-2-2b") is None


def test_a_second_look_needs_no_torch():
    read(scanned())
    code = """
        import sys
        from desktop_scope.engine.worker import silent_job
        from desktop_scope.library.inventory import read_details, scan_library
        from desktop_scope.library.requests import ReadDetails, ScanLibrary
        found = scan_library(ScanLibrary(), silent_job()).saes
        known = tuple(sae for sae in found if sae.details)
        assert len(known) == len(found) - 1 > 30
        read_details(ReadDetails(known), silent_job())
        assert "torch" not in sys.modules
    """
    lines = [line.strip() for line in code.strip().splitlines()]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
