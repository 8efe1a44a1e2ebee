"""Labels written, and judged, by a language model on this machine. Never required."""
