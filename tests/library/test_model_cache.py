import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.library.checksum import sha256_of
from desktop_scope.library.demo_model import demo_sha256
from desktop_scope.library.gguf_file import find_gguf
from desktop_scope.library.model_cache import MANIFEST, cached_model, ensure_model, model_folder

TEXT = "The thin thief, in 1984: Größe 漢字 <|im_end|>"
CHAT = [{"role": "user", "content": TEXT}]


def load(folder: Path, **kwargs: object):
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **kwargs)
    kwargs.pop("dtype", None)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, **kwargs), model


def logits(model, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits


def assert_same(folder: Path, gguf: Path) -> None:
    """What was kept behaves like what transformers reads straight from the GGUF."""
    kept_tokenizer, kept = load(folder)
    tokenizer, model = load(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ids = tokenizer(TEXT)["input_ids"]
    assert kept_tokenizer(TEXT)["input_ids"] == ids
    for options in ({"add_generation_prompt": True}, {"add_generation_prompt": False}):
        asked = tokenizer.apply_chat_template(CHAT, tokenize=False, **options)
        assert kept_tokenizer.apply_chat_template(CHAT, tokenize=False, **options) == asked
    assert kept.dtype == torch.float32
    assert torch.equal(logits(kept, ids), logits(model, ids))
    assert kept.lm_head.weight.data_ptr() == kept.get_input_embeddings().weight.data_ptr()


def leftovers(cache: Path) -> list[Path]:
    return list((cache / "models").iterdir())


def test_a_converted_model_equals_the_gguf(tiny_gguf: Path, tiny_sha256: str) -> None:
    folder = ensure_model(tiny_gguf, tiny_sha256)
    assert folder == model_folder(tiny_sha256)
    assert_same(folder, tiny_gguf)


def test_the_real_model_equals_its_gguf(
    demo_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real cache, the real package
    gguf = find_gguf(demo_sha256())
    if gguf is None:
        pytest.skip("only the converted model is here, not the GGUF file")
    assert_same(demo_model_dir, gguf)


def test_the_dtype_is_a_choice(tiny_gguf: Path, tiny_sha256: str) -> None:
    folder = ensure_model(tiny_gguf, tiny_sha256, dtype="bfloat16")
    assert load(folder)[1].dtype == torch.bfloat16
    assert cached_model(tiny_sha256) is None


def test_the_second_time_nothing_is_read(tiny_gguf: Path, tiny_sha256: str) -> None:
    folder = ensure_model(tiny_gguf, tiny_sha256)
    assert ensure_model(Path("gone.gguf"), tiny_sha256) == folder


def test_progress_goes_up_and_nothing_is_printed(
    tiny_gguf: Path, tiny_sha256: str, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, int, str]] = []
    ensure_model(tiny_gguf, tiny_sha256, lambda *step: seen.append(step))
    conversion = [done for done, total, _ in seen if total == 100]
    assert conversion == sorted(conversion)
    assert conversion[-1] == 100
    assert "Unpacking tensor 20 of 20" in [text for *_, text in seen]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 12, 23])
def test_cancelled_at_any_moment_nothing_is_left(
    calls: int, cache: Path, tiny_gguf: Path, tiny_sha256: str
) -> None:
    countdown = iter(range(calls))

    def check() -> None:
        if next(countdown, None) is None:
            raise Cancelled

    with pytest.raises(Cancelled):
        ensure_model(tiny_gguf, tiny_sha256, check=check)
    assert not (cache / "models").exists() or leftovers(cache) == []
    ensure_model(tiny_gguf, tiny_sha256)


def test_a_wrong_file_is_named(tiny_gguf: Path) -> None:
    with pytest.raises(ScopeError, match=r"tiny\.gguf is damaged or another model"):
        ensure_model(tiny_gguf, "0" * 64)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScopeError, match=r"gone\.gguf cannot be read: No such file"):
        ensure_model(tmp_path / "gone.gguf", "0" * 64)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.9])
def test_a_truncated_gguf_is_refused(
    share: float, tmp_path: Path, cache: Path, tiny_gguf: Path
) -> None:
    whole = tiny_gguf.read_bytes()
    short = tmp_path / "short.gguf"
    short.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ScopeError, match=r"short\.gguf cannot be read as a language model"):
        ensure_model(short, sha256_of(short))
    assert leftovers(cache) == []


def test_a_gguf_that_lacks_a_tensor_is_refused(
    tmp_path: Path, cache: Path, tiny_gguf: Path
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny_gguf.read_bytes().replace(b"blk.1.ffn_up", b"blk.1.ffn_xy"))
    with pytest.raises(ScopeError, match=r"model\.layers\.1\.mlp\.up_proj\.weight \(1 in all\)"):
        ensure_model(other, sha256_of(other))
    assert leftovers(cache) == []


def test_a_full_disk_is_noticed_before_the_work(
    tiny_gguf: Path, tiny_sha256: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(Path.home())._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ScopeError, match=r"needs about \d+ MiB .* 0 MiB are free"):
        ensure_model(tiny_gguf, tiny_sha256)
    assert leftovers(cache) == []


def test_a_disk_that_fills_up_meanwhile(
    tiny_gguf: Path, tiny_sha256: str, cache: Path, request: pytest.FixtureRequest
) -> None:
    sizes = resource.getrlimit(resource.RLIMIT_FSIZE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, sizes))

    def fill(done: int, total: int, text: str) -> None:
        if text.startswith("Keeping"):  # from here on no file can grow beyond 64 KiB
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, sizes[1]))

    with pytest.raises(ScopeError, match="cannot be kept"):
        ensure_model(tiny_gguf, tiny_sha256, fill)
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_written(tiny_gguf: Path, tiny_sha256: str, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ScopeError, match=r"cannot be kept in .*: Not a directory") as raised:
        ensure_model(tiny_gguf, tiny_sha256)
    assert "DESKTOP_SCOPE_CACHE" in raised.value.hint


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", MANIFEST])
@pytest.mark.parametrize("damage", ["shorter", "missing"])
def test_a_damaged_copy_is_made_again(
    name: str, damage: str, tiny_gguf: Path, tiny_sha256: str
) -> None:
    folder = ensure_model(tiny_gguf, tiny_sha256)
    whole = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(whole[:-1])
    assert cached_model(tiny_sha256) is None
    assert ensure_model(tiny_gguf, tiny_sha256) == folder
    assert (folder / name).read_bytes() == whole


def test_what_a_dead_program_left_is_removed(
    tiny_gguf: Path, tiny_sha256: str, cache: Path
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    parts = [
        cache / "models" / f".{tiny_sha256}.{pid}.part"
        for pid in (gone.pid, os.getpid(), os.getppid())
    ]
    for part in parts:
        part.mkdir(parents=True)
    ensure_model(tiny_gguf, tiny_sha256)
    assert [part.exists() for part in parts] == [False, False, True]


def test_two_programs_at_once(tiny_gguf: Path, tiny_sha256: str, cache: Path) -> None:
    code = "import sys, pathlib; from desktop_scope.library.model_cache import ensure_model; "
    code += "print(ensure_model(pathlib.Path(sys.argv[1]), sys.argv[2]))"
    command = [sys.executable, "-c", code, str(tiny_gguf), tiny_sha256]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {program.communicate()[0].strip() for program in programs}
    assert answers == {str(model_folder(tiny_sha256))}
    assert leftovers(cache) == [model_folder(tiny_sha256)]
    assert cached_model(tiny_sha256)


def test_importing_the_library_is_light() -> None:
    code = "import sys, desktop_scope.library.demo_model, desktop_scope.library.fetch; "
    code += "print({'torch', 'transformers', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
