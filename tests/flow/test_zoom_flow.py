"""Turning the objective without a window: what is asked for, and where the selection goes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from desktop_scope.engine.requests import MeasureSizes, TracePrompt, Workspace
from desktop_scope.engine.sizes import SiteLosses, SizeLoss
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.evidence.kinship.types import Basis, Family, Kin, MeasureKin, ReadFamily
from desktop_scope.evidence.requests import FollowFeature, RankFeatures
from desktop_scope.gui import actions, zoom_actions
from desktop_scope.gui.areas import zooming
from desktop_scope.gui.card.family import zoom_note
from desktop_scope.gui.state import AppState
from tests.flow.desk import UNNAMED, Desk

PROMPT = Prompt("Dogs bark", chat=False)
SIZES = (2, 4, 8)
COARSE, MIDDLE, FINE, ELSEWHERE = (FeatureId(0, n) for n in (1, 3, 7, 6))


def kin(feature: FeatureId, size: int) -> Kin:
    return Kin(feature, "", UNNAMED, size, 0.1, 0.9, 2.0, 10, Basis.SAMPLE, 0)


def family(feature: FeatureId) -> Family:
    line = (kin(COARSE, 2), kin(MIDDLE, 4), kin(FINE, 8))
    known = [one.feature for one in line]
    own = known.index(feature) + 1 if feature in known else 0
    shown = line[:own] or (kin(feature, 8),)
    return Family(feature, SIZES, shown, {}, 100)


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState(prompt=PROMPT))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    saes = tuple(replace(info, prefixes=SIZES) for info in desk.state.saes)
    desk.replace(replace(desk.state, saes=saes))
    desk.settle()
    return desk


def look_at(desk: Desk, feature: FeatureId) -> None:
    desk.act(actions.select, feature=feature)
    desk.settle()
    desk.replace(replace(desk.state, zoom=replace(desk.state.zoom, family=family(feature))))
    desk.settle(until="kin")


def asked(desk: Desk, kind: type) -> list:
    return [request for request in desk.requests.values() if isinstance(request, kind)]


def test_a_size_asks_for_lists_alone_and_never_for_a_pass(desk: Desk) -> None:
    look_at(desk, COARSE)
    before = len(desk.requests)
    desk.act(zoom_actions.set_size, 4)
    fresh = [desk.requests[n] for n in range(before + 1, len(desk.requests) + 1)]
    assert {RankFeatures, FollowFeature} <= {type(request) for request in fresh}
    assert {request.shown for request in fresh} == {(4,)}
    assert all(request.worker == "lookup" for request in fresh)
    assert len(asked(desk, TracePrompt)) == 1


def test_zooming_out_leads_to_ancestors_and_in_again_back(desk: Desk) -> None:
    look_at(desk, FINE)
    desk.act(zoom_actions.step, -1)
    assert (desk.state.zoom.size, desk.state.selection.feature) == (4, MIDDLE)
    assert "Stands for" in zoom_note(desk.state, MIDDLE)
    look_at(desk, MIDDLE)
    desk.act(zoom_actions.step, -1)
    assert (desk.state.zoom.size, desk.state.selection.feature) == (2, COARSE)
    desk.act(zoom_actions.step, -1)  # there is nothing coarser
    assert desk.state.zoom.size == 2
    look_at(desk, COARSE)
    desk.act(zoom_actions.set_size, 8)
    assert desk.state.selection.feature == FINE
    assert zoom_note(desk.state, FINE) == ""


def test_what_a_person_chose_meanwhile_stays(desk: Desk) -> None:
    look_at(desk, FINE)
    desk.act(zoom_actions.set_size, 2)
    assert desk.state.selection.feature == COARSE
    look_at(desk, FeatureId(0, 0))
    desk.act(zoom_actions.set_size, None)
    assert desk.state.selection.feature == FeatureId(0, 0)


def test_a_feature_without_an_ancestor_is_kept_and_that_is_said(desk: Desk) -> None:
    look_at(desk, ELSEWHERE)
    desk.act(zoom_actions.set_size, 2)
    assert desk.state.selection.feature == ELSEWHERE
    assert "No ancestor" in zoom_note(desk.state, ELSEWHERE)
    desk.act(zoom_actions.set_size, 8)
    assert zoom_note(desk.state, ELSEWHERE) == ""


def test_the_family_of_another_feature_leads_nowhere(desk: Desk) -> None:
    look_at(desk, FINE)
    desk.act(actions.select, feature=ELSEWHERE)  # its family is still on its way
    desk.act(zoom_actions.set_size, 2)
    assert desk.state.selection.feature == ELSEWHERE


def test_families_are_read_and_measured_where_there_are_sizes(desk: Desk) -> None:
    look_at(desk, FINE)
    assert asked(desk, ReadFamily)[-1].feature == FINE
    unknown = replace(family(FINE), unmeasured=(FINE,))
    desk.replace(replace(desk.state, zoom=replace(desk.state.zoom, family=unknown)))
    assert asked(desk, MeasureKin)[-1] == MeasureKin(FINE, desk.state.zoom.measured)
    turn = desk.state.zoom.measured
    desk.settle()
    assert desk.state.zoom.measured > turn
    desk.act(zoom_actions.toggle_branch, COARSE)
    assert asked(desk, ReadFamily)[-1].opened == (COARSE,)
    desk.act(zoom_actions.toggle_branch, COARSE)
    assert desk.state.zoom.opened == frozenset()


def test_one_size_has_no_families(desk: Desk) -> None:
    saes = tuple(replace(info, prefixes=()) for info in desk.state.saes)
    desk.replace(replace(desk.state, saes=saes))
    wanted = list(zooming.AREA.wanted(desk.state))
    assert not any(isinstance(request, ReadFamily) for request in wanted)
    desk.act(zoom_actions.step, 1)
    assert desk.state.zoom.size is None


def test_losses_are_measured_only_for_whoever_looks(desk: Desk) -> None:
    look_at(desk, FINE)
    assert not asked(desk, MeasureSizes)
    desk.act(zoom_actions.look, True)
    desk.settle()
    assert [site.slots for site in desk.state.zoom.of_text(desk.state.trace)] == [(0,)]
    desk.act(zoom_actions.measure_everywhere, True)
    desk.settle()
    slots = [request.slot for request in asked(desk, MeasureSizes)]
    assert sorted(slots) == list(range(len(desk.state.saes)))
    desk.act(actions.set_prompt, Prompt("Cats purr", chat=False))
    desk.settle()
    assert desk.state.zoom.text is desk.state.trace
    assert asked(desk, MeasureSizes)[-1].trace is desk.state.trace


def test_what_is_recovered_needs_a_loss_to_recover() -> None:
    loss = SizeLoss(0, 4, 2.0, 0.3, 3.0)
    site = SiteLosses((0,), 9, 2.0, 4.0, 6.0, (loss,))
    assert site.recovered(loss) == 0.5
    assert site.recovered(loss, zero=True) == 0.75
    assert math.isnan(replace(site, ce_mean=2.0).recovered(loss))
