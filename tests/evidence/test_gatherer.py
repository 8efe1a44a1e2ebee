"""Gathering in slices comes to what one run comes to; pauses and closed windows lose little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from small_saes import weights
from tiny_models import D_MODEL, TEXT, tiny

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence import own
from desktop_scope.evidence.building import gatherer as gathering
from desktop_scope.evidence.building.builder import build
from desktop_scope.evidence.building.corpus import text_corpus
from desktop_scope.evidence.building.gatherer import Gatherer, interrupted
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.gathering import Gather, GatherPlan, LeaveGathering, WeighText
from desktop_scope.evidence.together import FILE as TOGETHER


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gathering, "_SLICE_S", 0.0)  # a slice is a step
    return own.evidence_home()


@pytest.fixture
def new_gatherer() -> Iterator[Callable[[], Gatherer]]:
    made: list[Gatherer] = []

    def new() -> Gatherer:
        made.append(Gatherer())
        return made[-1]

    yield new
    for gatherer in made:
        gatherer.close()


@pytest.fixture
def engine() -> Engine:
    model = tiny("llama")
    layers = (
        weights(0, Site.RESID_POST, D_MODEL, 32, 1, Architecture.TOPK),
        weights(1, d_in=D_MODEL),
    )
    return Engine(model, [Sae(w, model.device) for w in layers])


@pytest.fixture
def plan(tmp_path) -> GatherPlan:
    words = np.random.default_rng(0).choice(TEXT.split(), (120, 40))
    text = tmp_path / "text.jsonl"
    text.write_text("".join(f'{{"text": "{" ".join(line)}"}}\n' for line in words), "utf-8")
    return GatherPlan((text,))


def gather(gatherer: Gatherer, engine: Engine, plan: GatherPlan, slices: int = 10_000):
    for turn in range(slices):
        standing = gatherer.gather(engine, Gather(Workspace(), plan, turn), silent_job())
        if standing.done:
            break
    return standing


def files(home: Path) -> dict[str, bytes]:
    return {str(f.relative_to(home)): f.read_bytes() for f in home.rglob("*") if f.is_file()}


def test_slices_pauses_and_new_windows_come_to_the_bytes_of_one_run(
    engine, plan, home, tmp_path, new_gatherer
):
    build(engine, text_corpus(plan.texts, engine.model, silent_job()), silent_job(), tmp_path / "x")
    gatherer = new_gatherer()
    some = gather(gatherer, engine, plan, 8)
    assert not some.done
    assert interrupted(engine) == plan
    assert gatherer.leave(engine, LeaveGathering(Workspace(), plan, True), silent_job())
    assert interrupted(engine) is None  # a person's pause does not end by itself
    assert gatherer.weigh(
        engine, WeighText(Workspace(), plan), silent_job()
    ).standing.tokens == pytest.approx(some.tokens)
    gather(gatherer, engine, plan, 5)
    other_window = new_gatherer()  # of a window that was closed without a word
    (owner,) = home.rglob("owner")
    owner.unlink()
    standing = gather(other_window, engine, plan)
    assert standing.done
    assert standing.share == 1
    assert files(home) == files(tmp_path / "x")


def test_what_is_thrown_away_is_gone(engine, plan, home, new_gatherer):
    gatherer = new_gatherer()
    gather(gatherer, engine, plan, 8)
    assert not gatherer.leave(engine, LeaveGathering(Workspace(), plan, False), silent_job())
    assert files(home) == {}
    assert interrupted(engine) is None


def test_the_cost_is_judged_by_the_first_rows(engine, plan, home, new_gatherer):
    corpus = text_corpus(plan.texts, engine.model, silent_job())
    truth = sum(len(row.ids) for row in corpus.rows())
    cost = new_gatherer().weigh(engine, WeighText(Workspace(), plan), silent_job())
    assert cost.tokens == pytest.approx(truth, rel=0.1)
    assert cost.seconds > 0
    gather(new_gatherer(), engine, plan)
    size = sum(map(len, files(home).values()))
    assert 0.2 * size < cost.bytes < 5 * size
    few = GatherPlan(plan.texts, most_tokens=50)
    assert new_gatherer().weigh(engine, WeighText(Workspace(), few), silent_job()).tokens == 50


def test_a_text_that_is_not_there_is_told(engine, tmp_path, new_gatherer):
    missing = GatherPlan((tmp_path / "no.txt",))
    with pytest.raises(ScopeError):
        new_gatherer().weigh(engine, WeighText(Workspace(), missing), silent_job())


def test_the_card_shows_what_fires_together_and_the_family_by_correlation(
    engine, plan, home, new_gatherer
):
    only = GatherPlan(plan.texts, only_together=True)
    before = Catalogue.open(Workspace(), engine, silent_job()).card(FeatureId(1, 3))
    assert (before.cofiring, before.cofiring_tokens) == ((), 0)
    assert all(np.isnan(member.correlation) for member in before.family)
    gather(new_gatherer(), engine, only)
    assert all((home / key / TOGETHER).is_file() for key in own.evidence_keys(engine))
    catalogue = Catalogue.open(Workspace(), engine, silent_job())
    seen = 0
    for index in range(engine.saes[1].d_sae):
        card = catalogue.card(FeatureId(1, index))
        assert card.cofiring_tokens > 1000
        own_first = [mate.feature.sae != 1 for mate in card.cofiring]
        assert own_first == sorted(own_first)
        assert FeatureId(1, index) not in [mate.feature for mate in card.cofiring]
        assert all(mate.lift > 1 and mate.together >= 3 for mate in card.cofiring)
        elsewhere = [m for m in card.cofiring if m.feature.sae == 0]
        member = next((m for m in card.family if m.feature.sae == 0), None)
        if elsewhere:
            seen += 1
            assert member.correlation >= max(m.correlation for m in elsewhere) - 1e-9
    assert seen > 5


def test_a_damaged_file_is_noted_and_the_rest_is_used(engine, plan, home, new_gatherer):
    gather(new_gatherer(), engine, GatherPlan(plan.texts, only_together=True))
    path = home / own.evidence_keys(engine)[0] / TOGETHER
    path.write_bytes(path.read_bytes()[:100])
    catalogue = Catalogue.open(Workspace(), engine, silent_job())
    assert any(str(path) in note for note in catalogue.opened().notes)
    assert catalogue.card(FeatureId(0, 1)).cofiring_tokens == 0
    assert catalogue.card(FeatureId(1, 1)).cofiring_tokens > 0
