"""The one error that is shown to people without a traceback."""

from __future__ import annotations


class ScopeError(Exception):
    """Something the user can act on.

    Args:
        message: What is wrong, one plain sentence.
        hint: What to do next, one plain sentence; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def reason_of(error: Exception) -> str:
    """Why a file could not be used, without the number and the path that Python adds."""
    return getattr(error, "strerror", None) or str(error)


class Cancelled(Exception):  # noqa: N818 - it is an outcome, not an error
    """The work was asked to stop; never shown."""
