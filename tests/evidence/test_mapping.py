"""The map: the same forces as by hand, the same places again, neighbours that stay neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.mapping.atlas import fitted
from desktop_scope.evidence.mapping.keeping import find_map, keep_map
from desktop_scope.evidence.mapping.layout import Layout, pushes
from desktop_scope.evidence.mapping.neighbours import N_NEIGHBOURS, NeighbourSearch
from desktop_scope.evidence.mapping.regions import regions
from desktop_scope.evidence.mapping.types import FeatureMap, nearest
from desktop_scope.workbench import Workbench

N_ISLANDS, N_EACH = 12, 40


def _islands() -> list[torch.Tensor]:
    """Directions around a few centres, spread over three SAEs."""
    torch.manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(N_ISLANDS, 32), dim=1)
    rows = centres.repeat(N_EACH, 1) + 0.12 * torch.randn(N_ISLANDS * N_EACH, 32)
    rows = torch.nn.functional.normalize(rows, dim=1)
    return list(rows.split(N_ISLANDS * N_EACH // 3 + 1))


def _searched(parts: list[torch.Tensor]) -> NeighbourSearch:
    search = NeighbourSearch(parts.__getitem__, [len(part) for part in parts])
    assert sum(1 for _ in search.steps()) == search.n_steps
    return search


def _laid_out(parts: list[torch.Tensor], steps: int) -> np.ndarray:
    search = _searched(parts)
    layout = Layout(search.found, search.cosines, torch.cat(parts)[:, :2].numpy())
    for _ in range(steps):
        layout.advance()
    return fitted(layout.points)


@pytest.mark.parametrize("span", [0.1, 3.0, 40.0])
def test_pushes_equal_the_sums_over_all_pairs(span: float) -> None:
    y = np.random.default_rng(0).normal(size=(300, 2)) * span / 4
    apart = y[:, None] - y[None]
    near = 1 / (1 + (apart**2).sum(-1))
    total = near.sum() - len(y)
    exact = (near[..., None] ** 2 * apart).sum(1) / total
    # Worst for lonely points, which are far from each other's nodes.
    assert np.abs(pushes(y) - exact).max() < 0.1 * np.abs(exact).max()


def test_neighbours_are_the_nearest_of_all() -> None:
    parts = _islands()
    found = _searched(parts).found
    rows = torch.cat(parts)
    cosines = rows @ rows.T
    cosines.fill_diagonal_(-2)
    exact = cosines.topk(N_NEIGHBOURS, dim=1).indices.numpy()
    assert np.array_equal(np.sort(found, axis=1), np.sort(exact, axis=1))


def test_what_is_alike_lies_together_and_does_so_again() -> None:
    parts = _islands()
    points = _laid_out(parts, 200)
    assert np.array_equal(_laid_out(parts, 20), _laid_out(parts, 20))
    assert points.min() >= 0
    assert points.max() <= 1
    apart = ((points[:, None] - points[None]) ** 2).sum(-1)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, :N_NEIGHBOURS]
    island = np.arange(len(points)) % N_ISLANDS
    assert (island[near] == island[:, None]).mean() > 0.95
    assert _trust(torch.cat(parts).numpy(), apart, near) > 0.95


def _trust(rows: np.ndarray, apart: np.ndarray, near: np.ndarray) -> float:
    """Trustworthiness (Venna & Kaski 2001): 1 is perfect, ½ is chance."""
    n, k = near.shape
    away = 1 - rows @ rows.T
    np.fill_diagonal(away, np.inf)
    rank = np.argsort(np.argsort(away, axis=1), axis=1) + 1
    excess = np.maximum(np.take_along_axis(rank, near, axis=1) - k, 0).sum()
    return float(1 - excess * 2 / (n * k * (2 * n - 3 * k - 1)))


def test_the_shipped_map_of_the_demo_pack_keeps_neighbours(workbench: Workbench) -> None:
    plane = workbench.catalogue.atlas.open(silent_job())
    assert plane is not None
    assert len(plane.points) == plane.n_features == 30 * 4096
    saes, rng = workbench.engine.saes, np.random.default_rng(0)
    shares = []
    for point in rng.choice(len(plane.points), 40, replace=False).tolist():
        feature = plane.feature(point)
        assert plane.place(feature) == point
        row = saes[feature.sae].decoder_row(feature.index)
        cosines = np.concatenate([sae.cosines(row) for sae in saes])
        cosines[point] = -2
        alike = set(np.argsort(-cosines)[:N_NEIGHBOURS].tolist())
        beside = {plane.place(f) for f in nearest(plane, feature, N_NEIGHBOURS)}
        shares.append(len(alike & beside) / N_NEIGHBOURS)
    chance = N_NEIGHBOURS / len(plane.points)
    assert np.mean(shares) > 500 * chance
    words = {region.word for region in plane.regions}
    assert len(words) > 200


def test_regions_are_named_by_what_stands_out() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((4000, 2)).astype(np.float32)
    left = points[:, 0] < 0.25
    labels = ["about dogs and words" if west else "about cats and words" for west in left]
    labels[:10] = [""] * 10
    found = regions(points, labels)
    assert {region.word for region in found if region.x < 0.2} == {"dogs"}
    assert not {region.word for region in found} & {"words", "about"}
    assert regions(points, [""] * 4000) == ()


def test_maps_are_kept_and_damaged_ones_drawn_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path))
    points = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    assert find_map("k", 50) is None
    keep_map("k", points)
    kept = find_map("k", 50)
    assert kept is not None
    assert np.abs(kept - points).max() < 1e-4
    assert find_map("k", 51) is None
    (file,) = (tmp_path / "maps").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:40])
    assert find_map("k", 50) is None


def test_a_feature_that_is_not_on_the_map_has_no_neighbours() -> None:
    points = np.array([[0, 0], [1, 1], [0.1, 0]], np.float32)
    sae, index = np.array([0, 0, 2], np.int32), np.array([3, 9, 4], np.int32)
    plane = FeatureMap(points, sae, index, np.zeros(3, np.float32), (), 3)
    assert nearest(plane, FeatureId(1, 3), 2) == ()
    assert nearest(plane, FeatureId(0, 3), 9) == (FeatureId(2, 4), FeatureId(0, 9))


def test_parts_are_named_by_what_they_are_about_not_by_words_that_hold_sentences_together():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.random((200, 2)) / 4, 0.75 + rng.random((200, 2)) / 4])
    one = [f"'the' after 'of'; 'river{n}' (landscape)" for n in range(200)]
    other = [f"'of', 'often{n}', about food and cooking (bread)" for n in range(200)]
    found = regions(points.astype(np.float32), [*one, *other])
    corner = {region.level: [] for region in found}
    for region in found:
        corner[region.level].append((region.word, region.x < 0.5))
    assert {"the", "of", "often"}.isdisjoint(region.word for region in found)
    assert ("food and cooking", False) in corner[2]


def test_a_word_is_said_once_where_parts_beside_each_other_have_it():
    rng = np.random.default_rng(0)
    points = rng.random((4000, 2)).astype(np.float32)
    near = (np.abs(points - 0.5) < 0.06).all(axis=1)  # on the edge between four parts
    labels = [f"'whale' {n}" if inside else f"'fox{n}'" for n, inside in enumerate(near)]
    named = [region for region in regions(points, labels) if region.word == "whale"]
    assert len([region for region in named if region.level == 2]) == 1
