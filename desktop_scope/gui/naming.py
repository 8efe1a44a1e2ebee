"""What features are called in the window."""

from __future__ import annotations

from desktop_scope.evidence.types import Label, Source


def title(label: Label, name: str) -> str:
    """The label; where there is none the number, with the word before it."""
    return label.text if label.source is not Source.NONE else f"feature {name}"


def with_number(label: Label, name: str) -> str:
    """Label and number, or the number alone."""
    return f"{label.text}  ·  {name}" if label.source is not Source.NONE else f"feature {name}"


def scored(label: Label) -> str:
    """How well a label predicts, in a few words."""
    if label.score is None:
        return "not scored"
    return f"score {label.score:.2f}"
