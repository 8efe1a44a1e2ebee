"""The doctor on the real pack: right SAEs pass, misplaced ones are caught and the place named."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from desktop_scope import paths
from desktop_scope.engine.doctor import Doctor
from desktop_scope.engine.health import Health, Verdict
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import InputNorm
from desktop_scope.engine.worker import silent_job


def examined(engine, layer: int, **changes) -> Health:
    """An SAE of the pack, attached otherwise; on a fifth of the text, for the sake of time."""
    sae = engine.saes[layer]
    doctor = Doctor(engine.model, [sae.placed(replace(sae.weights, **changes))])
    doctor.ids = doctor.ids[:4]
    return doctor.examine(0, silent_job())


def at(name: str) -> dict[str, tuple[HookPoint, ...]]:
    point = HookPoint.parse(name)
    return {"reads": (point,), "writes": (point,)}


def test_an_sae_where_it_belongs_passes_with_about_the_published_figures(engine):
    metrics = msgspec.json.decode((paths.demo_pack() / "pack.json").read_bytes())["metrics"]
    health = examined(engine, 12)
    assert health.verdict is Verdict.GREEN
    assert health.best is None
    # Published on other text.
    assert health.fvu == pytest.approx(metrics[12]["fvu"], abs=0.08)
    assert health.l0 == pytest.approx(metrics[12]["l0"], rel=0.25)
    assert health.ce_recovered == pytest.approx(metrics[12]["ce_recovered"], abs=0.04)


@pytest.mark.parametrize(
    ("layer", "wrong"),
    [
        (12, "blocks.13.hook_resid_post"),
        (12, "blocks.19.hook_resid_post"),
        (17, "blocks.17.hook_resid_mid"),
        (5, "blocks.5.hook_mlp_out"),
    ],
)
def test_a_misplaced_sae_is_caught_and_its_place_named(layer, wrong, engine):
    health = examined(engine, layer, **at(wrong))
    assert health.verdict is not Verdict.GREEN
    assert health.best is not None
    assert health.best.hook_name == f"blocks.{layer}.hook_resid_post"
    assert health.best.hook_name in health.reason
    assert health.hook_name == wrong


@pytest.mark.parametrize("change", [{"norm": InputNorm.LAYER_NORM}, {"subtract_b_dec": True}])
def test_an_input_treated_wrongly_is_caught(change, engine):
    health = examined(engine, 12, **change)
    assert health.verdict is Verdict.RED
    assert health.best is not None
    assert (health.best.norm, health.best.subtract_b_dec) == ("none", False)
