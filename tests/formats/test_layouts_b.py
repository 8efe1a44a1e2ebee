"""What holds for every layout of layouts_b."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from checking import seeded
from layouts_b import BUILDERS, lorsa, temporal

from desktop_scope.formats import LOADERS, format_of, open_sae

ALL = BUILDERS | {"temporal": temporal, "lorsa": lorsa}


def mapped(tensor: torch.Tensor, folder: Path) -> bool:
    """Whether a tensor lies in a file below a folder that is mapped into memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= tensor.data_ptr() < last:
            return str(folder) in line
    return False


@pytest.mark.parametrize("name", ALL)
def test_one_loader_recognises_it_and_its_file(name, tmp_path):
    path = ALL[name](tmp_path, seeded())
    loader = format_of(path)
    assert [other for other in LOADERS if other.match(path)] == [loader]
    files = [path] if path.is_file() else path.rglob("*")
    assert any(file.match(pattern) for file in files for pattern in loader.FILES)


@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_opened_has_names_of_its_own_and_fits_its_hooks(name, tmp_path):
    opened = open_sae(BUILDERS[name](tmp_path, seeded()))
    assert len({weights.name for weights in opened}) == len(opened)
    for weights in opened:
        n, d_in, d_out = weights.d_sae, weights.d_in, weights.d_out
        assert weights.W_dec.shape == (n, d_out)
        assert weights.b_dec.shape == (d_out,)
        assert d_in % len(weights.reads) == d_out % len(weights.writes) == 0
        vectors = ("b_enc", "threshold", "W_enc_scale", "W_dec_scale")
        shapes = {v.shape for name in vectors if (v := getattr(weights, name)) is not None}
        assert shapes <= {(n,)}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", BUILDERS)
def test_opening_leaves_the_weights_in_the_file(name, tmp_path):
    for weights in open_sae(BUILDERS[name](tmp_path, seeded())):
        # Several factors for one row need a copy, and so do decoders from several tensors.
        if not name.startswith("llamascopium crosscoder"):
            assert mapped(weights.W_enc, tmp_path)
        if not name.startswith("llamascopium CLT"):
            assert mapped(weights.W_dec, tmp_path)
