"""Temporal SAEs are recognised, and refused by name."""

from __future__ import annotations

from checking import refused, seeded
from layouts_b import temporal


def test_they_are_refused_by_name(tmp_path):
    refused(temporal(tmp_path, seeded()), "temporal SAE")
