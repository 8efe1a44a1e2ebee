"""What the user told and did: folders to search, and what was opened of late."""

from __future__ import annotations

from pathlib import Path

import msgspec

from desktop_scope import paths
from desktop_scope.errors import ScopeError, reason_of
from desktop_scope.library.parts import part_of, remove

_MOST_RECENT = 12


class Recent(msgspec.Struct, frozen=True):
    """A model and the SAEs that were opened with it."""

    model: Path
    saes: tuple[Path, ...] = ()


class Shelf(msgspec.Struct, frozen=True):
    """What is remembered of this user.

    Attributes:
        folders: Searched for models and SAEs besides the usual places.
        recent: Latest first.
    """

    folders: tuple[Path, ...] = ()
    recent: tuple[Recent, ...] = ()


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_SHELF = msgspec.json.Decoder(Shelf, dec_hook=lambda _, text: Path(text))


def read_shelf() -> Shelf:
    """What is remembered; nothing where the file is missing or damaged."""
    try:
        return _SHELF.decode(_file().read_bytes())
    except (OSError, ValueError, msgspec.MsgspecError):
        return Shelf()


def add_folder(folder: Path) -> Shelf:
    """Search a folder from now on.

    Raises:
        ScopeError: There is no such folder, or it cannot be remembered.
    """
    shelf, folder = read_shelf(), existing_folder(folder)
    if folder in shelf.folders:
        return shelf
    return _save(msgspec.structs.replace(shelf, folders=(*shelf.folders, folder)))


def forget_folder(folder: Path) -> Shelf:
    """Search a folder no more; its files stay.

    Raises:
        ScopeError: It is none of the remembered ones, or the file cannot be written.
    """
    shelf, folder = read_shelf(), folder.expanduser().absolute()
    if folder not in shelf.folders:
        known = ", ".join(map(str, shelf.folders)) or "none"
        raise ScopeError(f"{folder} is not among the added folders.", f"These are: {known}.")
    left = tuple(one for one in shelf.folders if one != folder)
    return _save(msgspec.structs.replace(shelf, folders=left))


def note_opened(recent: Recent) -> Shelf:
    """Put what was opened first among the recent ones.

    Raises:
        ScopeError: The file cannot be written.
    """
    shelf = read_shelf()
    others = [one for one in shelf.recent if one != recent]
    newest = (recent, *others)[:_MOST_RECENT]
    return _save(msgspec.structs.replace(shelf, recent=newest))


def existing_folder(folder: Path) -> Path:
    """The folder with its whole path.

    Raises:
        ScopeError: There is no such folder.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise ScopeError(f"There is no folder {folder}.", "Check the path.")
    return folder


def _file() -> Path:
    return paths.config_dir() / "library.json"


def _save(shelf: Shelf) -> Shelf:
    try:
        part = part_of(_file())
        try:
            part.write_bytes(msgspec.json.encode(shelf, enc_hook=str))
            part.replace(_file())
        finally:
            remove(part)
    except (OSError, UnicodeEncodeError) as error:  # the latter for paths that are no text
        raise ScopeError(
            f"{_file()} cannot be written: {reason_of(error)}.",
            "Make room or allow writing there, or name another folder in DESKTOP_SCOPE_CONFIG.",
        ) from error
    return shelf
