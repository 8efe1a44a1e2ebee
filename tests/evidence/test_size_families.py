"""Families: counts against brute force, the demo pack's tree, what is read off examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_saes
import tiny_models
import torch

from desktop_scope import paths
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sizes import birth, ladder
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.evidence.kinship.book import SHIPPED, KinBook, write_kin
from desktop_scope.evidence.kinship.counting import KinCounts, count_kin
from desktop_scope.evidence.kinship.families import Families
from desktop_scope.evidence.kinship.scoring import N_PARENTS, kin_score
from desktop_scope.evidence.kinship.types import Basis, MeasureKin, ReadFamily
from desktop_scope.evidence.rows import Row
from desktop_scope.workbench import Workbench

ANIMALS, DOG = FeatureId(10, 40), FeatureId(10, 2517)
PREFIXES = (8, 20, 60)


@pytest.fixture(scope="module")
def nested() -> Engine:
    weights = small_saes.weights(layer=1, d_in=tiny_models.D_MODEL, d_sae=60, prefixes=PREFIXES)
    return Engine(tiny_models.tiny("llama"), [Sae(weights, torch.device("cpu"))])


def some_rows(n: int = 30) -> list[Row]:
    rng = np.random.default_rng(3)
    return [
        Row(rng.integers(2, 290, int(rng.integers(4, 40))).astype(np.int32), 1, i, 0.0)
        for i in range(n)
    ]


def fires_of(engine: Engine, rows: list[Row]) -> np.ndarray:
    """[tokens, N] on which features fire; one row at a time."""
    found = []
    for row in rows:
        with torch.inference_mode():
            seen = tiny_models.Seen(engine.model, torch.from_numpy(row.ids).long()[None])
            sae = engine.saes[0]
            acts = sae.encode(seen[sae.weights.reads[0]][0], np.arange(len(row.ids)) < 1)
        found.append(np.stack([acts.of(n) > 0 for n in range(sae.d_sae)], 1)[1:])
    return np.concatenate(found)


def test_counts_equal_brute_force(nested: Engine) -> None:
    rows = some_rows()
    (counts,) = count_kin(nested, rows, 10**9, silent_job())
    fires = fires_of(nested, rows)
    assert counts.n_tokens == len(fires)
    np.testing.assert_array_equal(counts.fires, fires.sum(0))
    assert counts.together[8:].any()
    for child in range(60):
        coarser = {size for size in PREFIXES if child >= size}
        candidates = range(max(coarser)) if coarser else range(0)
        together = np.array([(fires[:, child] & fires[:, p]).sum() for p in candidates])
        density = fires.mean(0)[: len(candidates)]
        score = kin_score(together, float(fires[:, child].sum()), density)
        best = [p for p in np.argsort(-score, kind="stable")[:N_PARENTS] if score[p] > -np.inf]
        kept = counts.together[child] > 0
        assert counts.parent[child][kept].tolist() == best
        np.testing.assert_array_equal(counts.together[child][kept], together[best])


def test_counting_stops_where_it_is_told_to(nested: Engine) -> None:
    (counts,) = count_kin(nested, some_rows(), 100, silent_job())
    assert 100 <= counts.n_tokens < len(fires_of(nested, some_rows()))
    cancelled = silent_job()
    cancelled.cancel()
    with pytest.raises(Cancelled):
        count_kin(nested, some_rows(), 100, cancelled)


def test_what_fires_everywhere_is_nobodys_parent() -> None:
    # Both fire on all of a child's tokens; one of them on half of all tokens, too.
    score = kin_score(np.array([50, 50, 2]), 50.0, np.array([0.5, 0.02, 0.001]))
    assert score[1] > score[0] > 0
    assert score[2] == -np.inf  # seen together on two tokens only
    assert kin_score(np.array([10]), 50.0, np.array([0.3]))[0] == -np.inf  # less than by chance


def test_a_book_is_kept_whole(nested: Engine, tmp_path: Path) -> None:
    counts = count_kin(nested, some_rows(), 10**9, silent_job())
    assert KinBook.shipped(tmp_path, 0, 60) is None
    write_kin(tmp_path / SHIPPED, counts, {})
    book = KinBook.shipped(tmp_path, 0, 60)
    assert book is not None
    for parent in range(60):
        children = book.children(parent).tolist()
        expected = [c for c in range(60) if (p := book.parents(c)) and p[0].index == parent]
        assert children == expected
    with pytest.raises(ScopeError, match="damaged"):
        KinBook.shipped(tmp_path, 0, 61)
    with pytest.raises(ScopeError, match="damaged"):
        KinBook.shipped(tmp_path, 1, 60)


@pytest.mark.parametrize("wrong", ["parent", "together", "cut"])
def test_a_damaged_book_is_refused(nested: Engine, tmp_path: Path, wrong: str) -> None:
    (counts,) = count_kin(nested, some_rows(), 10**9, silent_job())
    parent, together = counts.parent.copy(), counts.together.copy()
    if wrong == "parent":
        parent[30, 0], together[30, 0] = 59, 1  # finer than its child
    if wrong == "together":
        together[30, 0] = counts.fires[30] + 1
    bad = KinCounts(counts.n_tokens, counts.fires, parent, together)
    write_kin(tmp_path / SHIPPED, [bad], {})
    if wrong == "cut":
        whole = (tmp_path / SHIPPED).read_bytes()
        (tmp_path / SHIPPED).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScopeError, match="damaged"):
        KinBook.shipped(tmp_path, 0, 60)


def test_the_demo_packs_families_make_a_tree(workbench: Workbench) -> None:
    families, infos = workbench.catalogue.families, workbench.engine.infos
    rng = np.random.default_rng(0)
    tied = 0
    for _ in range(40):
        feature = FeatureId(int(rng.integers(30)), int(rng.integers(4096)))
        family = families.family(ReadFamily(feature))
        rungs = ladder(infos, feature.sae)
        born = [birth(rungs, kin.feature) for kin in family.line]
        assert family.sizes == (256, 1024, 4096)
        assert family.line[-1].feature == feature
        assert born == sorted(set(born))  # every step of the line is a coarser dictionary
        assert born[0] == 0 or family.line[0].basis is Basis.NONE
        for kin in family.line[1:]:
            assert np.isnan(kin.share) or 0 < kin.share <= 1
            tied += kin.basis is Basis.SAMPLE
        for child in family.branches[feature].kin:
            assert families.family(ReadFamily(child.feature)).line[-2].feature == feature
    assert tied > 20


def test_dogs_are_animals(workbench: Workbench) -> None:
    family = workbench.catalogue.families.family(ReadFamily(DOG, opened=(ANIMALS,)))
    assert [kin.feature for kin in family.line] == [ANIMALS, DOG]
    assert family.line[1].share > 0.8
    assert family.line[1].lift > 3
    assert family.branches[ANIMALS].n >= len(family.branches[ANIMALS].kin) > 0
    assert family.ancestor((256,) * 30) == ANIMALS
    assert family.ancestor((0,) * 30) is None
    rows = [workbench.engine.saes[10].decoder_row(f.index).double() for f in (ANIMALS, DOG)]
    cosine = float(rows[0] @ rows[1] / rows[0].norm() / rows[1].norm())
    assert family.line[1].cosine == pytest.approx(cosine, abs=1e-6)


def test_unknown_features_are_refused(workbench: Workbench) -> None:
    with pytest.raises(ScopeError, match="no feature"):
        workbench.catalogue.families.family(ReadFamily(FeatureId(3, 5000)))


def test_examples_tell_what_was_not_counted(workbench: Workbench) -> None:
    """Without a shipped book the direction stands in, until the examples have been read."""
    child, engine = FeatureId(2, 3000), workbench.engine
    families = Families(workbench.catalogue, [None] * 30)
    before = families.family(ReadFamily(child))
    assert before.unmeasured[0] == child
    assert before.line[-1].basis is Basis.NONE
    assert np.isnan(before.line[-1].share)
    while not families.measure(MeasureKin(child), silent_job()):
        pass
    after = families.family(ReadFamily(child))
    kin = after.line[-1]
    assert child not in after.unmeasured
    assert kin.basis is Basis.EXAMPLES
    # Counted again, one example at a time, with every token of it.
    fires = together = 0
    parent = after.line[-2].feature.index
    for row in workbench.catalogue.evidence[2].stretches(child.index):
        with torch.inference_mode():
            seen = tiny_models.Seen(engine.model, torch.from_numpy(row.ids).long()[None])
            masked = np.arange(len(row.ids)) < row.start
            sae = engine.saes[2]
            acts = sae.encode(seen[sae.weights.reads[0]][0], masked)
        on = acts.of(child.index) > 0
        fires += int(on.sum())
        together += int((on & (acts.of(parent) > 0)).sum())
    assert kin.n_tokens == fires >= 16
    assert kin.share == pytest.approx(together / fires)


def test_examples_of_the_pack_are_read_again_as_they_are_shown(workbench: Workbench) -> None:
    known, texts = workbench.catalogue.evidence[17], workbench.engine.model.texts
    for index in (12, 3988):
        for row, example in zip(known.stretches(index), known.examples(index), strict=True):
            shown = tuple(texts[i] for i in row.ids.tolist())
            assert shown[len(shown) - len(example.texts) :] == example.texts
            assert row.start >= len(shown) - len(example.texts)


def test_the_shipped_book_says_what_it_was_made_from() -> None:
    from safetensors import safe_open

    file = safe_open(paths.demo_pack() / SHIPPED, framework="numpy")
    about = file.metadata()
    assert int(about["n_tokens"]) >= 50_000
    assert about["model"].endswith("SmolLM2-135M-Instruct")
    assert (paths.demo_pack() / SHIPPED).stat().st_size < 3_000_000
