"""Which folders are packs."""

from __future__ import annotations

from pathlib import Path

from desktop_scope.errors import ScopeError
from desktop_scope.library.entries import PackEntry, SaeEntry
from desktop_scope.library.pack import Pack, read_pack

_MARK = b'"desktop-scope-pack/'
_DESCRIPTION_BYTES = 4 << 20


def pack_in(folder: Path) -> tuple[PackEntry, tuple[SaeEntry, ...]] | None:
    """The pack that a folder with a pack.json holds, and its SAEs.

    None where the pack.json is some other program's.

    Raises:
        OSError: It may not be read.
    """
    with (folder / "pack.json").open("rb") as file:
        if _MARK not in file.read(_DESCRIPTION_BYTES):
            return None
    try:
        pack = read_pack(folder)
    except ScopeError as error:
        return PackEntry(folder.name, folder, "", 0, 0, problem=str(error)), ()
    saes = tuple(
        SaeEntry(path, folder.name, path.stem, (), _size(path), pack.model.id)
        for path in pack.sae_files(folder)
    )
    n_features = len(saes) * pack.saes.d_sae
    figures = _figures(pack)
    return PackEntry(pack.name, folder, pack.model.id, len(saes), n_features, figures), saes


def _figures(pack: Pack) -> str:
    if not pack.metrics:
        return ""
    fvu = [metrics.fvu for metrics in pack.metrics]
    recovered = [metrics.ce_recovered for metrics in pack.metrics]
    return (
        f"its makers measured FVU {min(fvu):.0%} to {max(fvu):.0%}, "
        f"CE recovered {min(recovered):.0%} to {max(recovered):.0%}"
    )


def _size(path: Path) -> int:
    """Bytes of a file; 0 when it is missing, which shows when its details are read."""
    return path.stat().st_size if path.is_file() else 0
