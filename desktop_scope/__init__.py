"""Desktop Scope: look inside a local language model."""

__version__ = "0.1.0"
