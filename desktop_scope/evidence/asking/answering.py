"""Carries out what a language model is to be asked about a label."""

from __future__ import annotations

import json
from dataclasses import astuple

from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.asking.judging import METHODS, judge_by_model
from desktop_scope.evidence.asking.labelling import ask_for_label
from desktop_scope.evidence.asking.requests import Asked, AskOpenModel, AskServer
from desktop_scope.evidence.asking.speakers import LocalServer, OpenModel, Speaker
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.marks.store import label_value
from desktop_scope.evidence.marks.types import Kind
from desktop_scope.evidence.types import Source, Verdict


def answer(catalogue: Catalogue, request: AskOpenModel | AskServer, job: Job) -> Asked:
    """Ask, and say what is to be kept of the answer.

    Raises:
        ScopeError: There is nobody to ask, nothing to show, or no answer.
        Cancelled: The job was.
    """
    job.progress(0, 0, "Asking a model")
    speaker: Speaker
    if isinstance(request, AskServer):
        speaker = LocalServer(request.server, job)
    else:
        speaker = OpenModel(catalogue.engine, job)
    if request.judge:
        return _judged(catalogue, request, speaker, job)
    text = ask_for_label(speaker, catalogue.card(request.feature))
    mark = (Kind.LABEL, str(Source.MODEL), label_value(text, speaker.name))
    return Asked(request.feature, (mark,), f"{speaker.name} says: {text}")


def _judged(
    catalogue: Catalogue, request: AskOpenModel | AskServer, speaker: Speaker, job: Job
) -> Asked:
    slot, index = request.feature
    court = next((c for c in catalogue.courts if slot in c.slots), None)
    case = court and court.case(slot)
    if case is None:
        raise ScopeError(
            "There is no held-out text yet on which a model could judge this label.",
            "Have the labels scored first: Feature > Score all labels, or `labels score`.",
        )
    words, docket = case
    label, texts = catalogue.label(request.feature).text, catalogue.engine.model.texts
    marks, said = [], []
    for n, method in enumerate(METHODS):
        job.progress(n, len(METHODS), f"Judging by {method}")
        verdict = judge_by_model(speaker, method, label, words, docket, index, texts)
        if verdict is None:
            raise ScopeError(
                "The feature fires too seldom, or too often, in the held-out text.",
                "Its label cannot be judged.",
            )
        marks.append((Kind.VERDICT, f"{verdict.judge}\n{label}", verdict_value(verdict)))
        said.append(f"{verdict.judge} {verdict.told}")
    return Asked(request.feature, tuple(marks), f"“{label}”: {'; '.join(said)}")


def verdict_value(verdict: Verdict) -> str:
    """What is kept of a verdict, besides who judged."""
    return json.dumps(astuple(verdict)[1:])
