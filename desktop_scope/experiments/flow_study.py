"""How far flow can be relied on: what was estimated against really switching the writers off.

For each prompt and some depths of the model a reader is drawn at random among the features that
fire on the last token; the writers are the strongest by each way of following flow, and as many
drawn at random, so that no way chooses the points by which it is judged. Of the reader its drive is
measured, which has no threshold to hide behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from desktop_scope.engine.flow_types import FlowQuestion, Way, same_signs, spearman
from desktop_scope.engine.questions import pearson
from desktop_scope.engine.requests import Request, TracePrompt
from desktop_scope.engine.types import FeatureId, Floats, Prompt, lock
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.feature_flow import FlowReader
    from desktop_scope.engine.worker import Job

PROMPTS = (
    "The midwife was tired after work because",
    "My chihuahua barks at presidents.",
    "The capital of France is Paris, and the capital of Spain is",
    "def add(a, b):\n    return a +",
    "She poured the milk into the",
    "In 1969 the first man walked on the",
    "The river had frozen over, and the children",
    "To be, or not to be, that is the",
    "He apologised for being late to the",
    "The bank raised its interest rates by half a",
    "Water boils at one hundred degrees",
    "The judge asked the witness to tell the",
    "Once upon a time there was a little",
    "Photosynthesis turns sunlight into chemical",
    "The orchestra played the last movement far too",
    "Please send me the report before",
    "The goalkeeper dived to the left, but the ball",
    "Add two cups of flour and a pinch of",
    "Our flight to Tokyo was delayed by heavy",
    "The recipe for happiness, my grandmother said, is",
)
REACHES = (1, 4)
_DEPTHS = (0.35, 0.6, 0.85)  # of the readers, as shares of the open layers
_N_TOP, _N_RANDOM = 10, 10
_SEEN = 0.01  # of the reader's activation: of smaller effects the sign says nothing


@dataclass(frozen=True)
class StudyFlow(Request):
    """Measure how well each way agrees with ablating."""

    kind = "flow-study"
    replaces = frozenset({"flow-study"})
    worker = "engine"

    prompts: tuple[Prompt, ...] = tuple(Prompt(text, chat=False) for text in PROMPTS)
    reaches: tuple[int, ...] = REACHES
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Case:
    """One reader, and the writers that were switched off one at a time.

    Attributes:
        expected: By way, [W].
        measured: By how much the reader's drive fell, [W].
        activation: Of the reader.
    """

    prompt: Prompt
    reader: FeatureId
    reach: int
    expected: dict[Way, Floats]
    measured: Floats
    activation: float

    def __post_init__(self) -> None:
        lock(self)

    def rank(self, way: Way) -> float:
        """Spearman's correlation of estimate and measurement."""
        return spearman(self.expected[way], self.measured)

    def linear(self, way: Way) -> float:
        """Pearson's."""
        return pearson(self.expected[way], self.measured)

    def signs(self, way: Way) -> float:
        """Share of right signs, of effects that can be seen."""
        seen = np.abs(self.measured) >= _SEEN * self.activation
        return same_signs(self.expected[way][seen], self.measured[seen])


@dataclass(frozen=True)
class FlowStudy:
    """What came of it."""

    cases: tuple[Case, ...]

    def of(self, reach: int) -> tuple[Case, ...]:
        """The cases at one reach."""
        return tuple(case for case in self.cases if case.reach == reach)


def study_flow(engine: Engine, request: StudyFlow, job: Job) -> FlowStudy:
    """Estimate, and switch off.

    Raises:
        ScopeError: No two autoencoders are so far apart.
        Cancelled: The job was.
    """
    rng = np.random.default_rng(request.seed)
    cases = []
    plans = [(prompt, reach) for prompt in request.prompts for reach in request.reaches]
    for n, (prompt, reach) in enumerate(plans):
        job.progress(n, len(plans), "Switching features off")
        cases += list(_cases(engine, prompt, reach, rng, job))
    if not cases:
        raise ScopeError(
            "No autoencoders are open that are so many layers apart.",
            "Open those of several layers.",
        )
    return FlowStudy(tuple(cases))


def _cases(
    engine: Engine, prompt: Prompt, reach: int, rng: np.random.Generator, job: Job
) -> Iterator[Case]:
    from desktop_scope.engine.feature_flow import FlowReader

    trace = engine.example(TracePrompt(prompt), job)
    for slot in _slots(len(engine.saes), reach):
        token = trace.n_tokens - 1
        active, _ = trace.acts[slot].at(token)
        if not len(active):
            continue
        reader = FeatureId(slot, int(rng.choice(active)))
        question = FlowQuestion(prompt, (), reader, token, reach)
        try:
            yield _case(FlowReader(engine.model, engine.saes, question, job), rng)
        except ScopeError:  # no SAE of its kind so many layers before
            continue


def _slots(n: int, reach: int) -> list[int]:
    """Readers that have something so many layers before them."""
    return sorted({round(depth * (n - 1)) for depth in _DEPTHS if depth * (n - 1) >= reach})


def _case(reader: FlowReader, rng: np.random.Generator) -> Case:
    from desktop_scope.engine.flow_checking import fallen

    index = reader.writers()
    expected = {way: reader.brought(way) for way in Way}
    chosen = _chosen(list(expected.values()), rng)
    measured = fallen(reader, [int(index[n]) for n in chosen])
    return Case(
        reader.question.prompt,
        reader.question.feature,
        reader.question.reach,
        {way: values[chosen] for way, values in expected.items()},
        measured,
        float(reader.own[reader.token]),
    )


def _chosen(values: Sequence[Floats], rng: np.random.Generator) -> list[int]:
    n = len(values[0])
    tops = [np.argsort(-np.abs(one), kind="stable")[:_N_TOP] for one in values]
    drawn = rng.choice(n, min(_N_RANDOM, n), replace=False)
    return sorted({int(k) for part in (*tops, drawn) for k in part})
