"""What the engine answers with: frozen values over read-only numpy arrays.

Shapes: L layers, S open SAEs, T tokens, N features of one SAE (d_sae). Activations are in units of
the residual stream where decoder rows have unit norm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


def lock(value: object) -> None:
    """Make a value's arrays read-only: it travels between threads."""
    for item in vars(value).values():
        if isinstance(item, np.ndarray):
            item.flags.writeable = False


class FeatureId(NamedTuple):
    """One feature: the place of its SAE among those open, and its number there."""

    sae: int
    index: int  # type: ignore[assignment]  # tuple's own method of that name is not missed


class Role(StrEnum):
    """Who speaks in a chat."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Turn:
    """What somebody said in a chat."""

    role: Role
    text: str


@dataclass(frozen=True)
class Prompt:
    """What is asked: as a user turn of a chat, or as raw text to continue.

    Attributes:
        text: The user's last turn, or the raw text.
        turns: What was said before it in the chat, a system prompt first if there is one.
    """

    text: str
    chat: bool = True
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, eq=False)
class FeatureActs:
    """Sparse activations of one SAE (CSR): token t has ``indices[indptr[t]:indptr[t + 1]]``."""

    indptr: Ints  # [T + 1]
    indices: Ints  # [nnz], ascending within a token
    values: Floats  # [nnz], all > 0

    def __post_init__(self) -> None:
        lock(self)

    def at(self, token: int) -> tuple[Ints, Floats]:
        """Feature indices and values of one token."""
        span = slice(self.indptr[token], self.indptr[token + 1])
        return self.indices[span], self.values[span]

    def rows(self) -> Ints:
        """The token of every stored value, [nnz]."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))

    def only(self, tokens: NDArray[np.integer]) -> FeatureActs:
        """Of some of the tokens, in that order."""
        counts = np.diff(self.indptr)[tokens]
        ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        starts = np.repeat(self.indptr[tokens] - ends[:-1], counts)
        picked = starts + np.arange(ends[-1])
        return FeatureActs(ends, self.indices[picked], self.values[picked])

    def first(self, n: int) -> FeatureActs:
        """The first n features alone: what a Matryoshka prefix of the SAE sees."""
        keep = self.indices < n
        before = np.concatenate([[0], np.cumsum(keep)])
        indptr = before[self.indptr].astype(np.int32)
        return FeatureActs(indptr, self.indices[keep], self.values[keep])

    def of(self, index: int) -> Floats:
        """One feature over all tokens, [T]; 0 where it is silent."""
        hits = np.flatnonzero(self.indices == index)
        dense = np.zeros(len(self.indptr) - 1, np.float32)
        dense[np.searchsorted(self.indptr, hits, side="right") - 1] = self.values[hits]
        return dense


@dataclass(frozen=True, eq=False)
class TextActs:
    """What every feature does in each of many texts.

    Attributes:
        n_tokens: That count, by text.
        acts: By SAE; rows are texts instead of tokens, values are means over a text's tokens.
    """

    n_tokens: Ints
    acts: tuple[FeatureActs, ...]

    def __post_init__(self) -> None:
        lock(self)


@dataclass(frozen=True, eq=False)
class LayerTexts:
    """What the stream of every layer and every SAE makes of many texts.

    Attributes:
        residual: At one token of each text, or the mean over its tokens, [texts, L, d_model].
        acts: By SAE; rows are texts instead of tokens.
    """

    residual: Floats
    acts: tuple[FeatureActs, ...]

    def __post_init__(self) -> None:
        lock(self)

    def only(self, texts: NDArray[np.integer]) -> LayerTexts:
        """Of some of the texts, in that order."""
        return LayerTexts(self.residual[texts], tuple(acts.only(texts) for acts in self.acts))


class Mode(StrEnum):
    """How an intervention changes y, what the SAE writes; d is the feature's decoder row.

    f is the feature as its SAE reads it, and a the intervention's amount. The SAE's error is kept
    by all of them.
    """

    ADD = "add"  # y += a · d
    CLAMP = "clamp"  # y += (a − f) · d
    SCALE = "scale"  # y += (a − 1) · f · d
    ABLATE = "ablate"  # y −= f · d
    PROJECT = "project"  # y += (a − 1) · (y · d̂) · d̂: 0 takes the direction out
    STOP = "stop"  # changes nothing: an answer ends where its rule fires


@dataclass(frozen=True)
class Positions:
    """The tokens at which an intervention acts.

    Attributes:
        prompt: The prompt's tokens, a chat's template among them.
        answer: The answer's tokens.
        tokens: Only these, counted from the prompt's first; empty for all of them.
        first: Position 0 too, which is a sink of attention rather than a word.
    """

    prompt: bool = True
    answer: bool = True
    tokens: tuple[int, ...] = ()
    first: bool = False


class Trigger(NamedTuple):
    """A feature is stronger than this, in its own units."""

    feature: FeatureId
    above: float


@dataclass(frozen=True)
class Rule:
    """IF any of these features fires, THEN an intervention acts at that token.

    Attributes:
        within: How many tokens back counts, this one included: 1 is this token alone.
    """

    triggers: tuple[Trigger, ...]
    within: int = 1


@dataclass(frozen=True)
class Vector:
    """A direction of one's own, such as the difference of two sets of prompts.

    Attributes:
        hook_name: Where it is added, unless the intervention says otherwise.
        data: [d] float32, as bytes: so that it can be compared, and be part of a key.
    """

    name: str
    hook_name: str
    data: bytes = field(repr=False)

    @property
    def values(self) -> Floats:
        """[d]."""
        return np.frombuffer(self.data, np.float32)

    @property
    def norm(self) -> float:
        """Its length."""
        return float(np.linalg.norm(self.values))


@dataclass(frozen=True)
class Intervention:
    """One change of one feature, or along one vector, while the model runs.

    Attributes:
        feature: None where a vector takes its place.
        amount: What the mode says, in residual units where it adds or clamps; a factor where it
            scales or projects. A vector is added so long, whatever its own length.
        hooks: Names of the places where it is written; where its SAE writes if there are none.
        rule: It acts only where this fires.
        message: What is said when it stops an answer.
    """

    feature: FeatureId | None = None
    amount: float = 0.0
    mode: Mode = Mode.ADD
    vector: Vector | None = None
    positions: Positions = Positions()
    hooks: tuple[str, ...] = ()
    rule: Rule | None = None
    message: str = ""


@dataclass(frozen=True)
class Firing:
    """Where a rule fired.

    Attributes:
        tokens: Counted from the prompt's first. Where a trigger is read later in the model than an
            intervention writes, that acts from the token after.
        n_tokens: How many tokens it was tried on.
    """

    rule: Rule
    tokens: tuple[int, ...]
    n_tokens: int

    @property
    def remark(self) -> str:
        """What is wrong with it, for people; empty if nothing is."""
        if not self.tokens:
            return "The rule never fired here: nothing was changed. Lower its threshold."
        if len(self.tokens) == self.n_tokens > 1:
            return "The rule fired at every token, as if there were no rule. Raise its threshold."
        return ""


@dataclass(frozen=True, eq=False)
class Trace:
    """What one text lit up, in every open SAE."""

    prompt: Prompt
    ids: Ints  # [T]
    texts: tuple[str, ...]  # [T] readable, one per token
    masked: Bools  # [T] not encoded by any SAE: position 0 and outliers
    own: Bools  # [T] the user's text and the answer, not the template around them
    n_prompt: int  # tokens before the answer; T when there is no answer
    acts: tuple[FeatureActs, ...]  # [S]
    logprobs: Floats  # [T] log p(token | tokens before), nats; nan at 0
    residual_norm: Floats  # [L, T]
    next_ids: Ints  # [K] likeliest tokens after the last one
    next_texts: tuple[str, ...]  # [K]
    next_probs: Floats  # [K]
    seconds: float
    interventions: tuple[Intervention, ...] = ()
    firings: tuple[Firing, ...] = ()  # one per rule

    def __post_init__(self) -> None:
        lock(self)

    @property
    def n_tokens(self) -> int:
        """T."""
        return len(self.ids)


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. Temperature 0 is greedy and deterministic."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    repetition_penalty: float = 1.1
    seed: int = 0
    top_p: float = 1.0  # only the likeliest tokens that together have this probability


@dataclass(frozen=True)
class Generation:
    """One answer, finished or under way.

    Attributes:
        stopped: What the rule that ended it says; empty if none did.
        watched: By feature that was looked at meanwhile, what it was on each token of the answer.
    """

    prompt: Prompt
    interventions: tuple[Intervention, ...]
    ids: tuple[int, ...]
    pieces: tuple[str, ...]  # readable, one per token
    text: str
    finished: bool
    tokens_per_second: float = 0.0
    firings: tuple[Firing, ...] = ()  # one per rule
    stopped: str = ""
    note: str = ""  # what is to be said of how it was computed
    watched: tuple[tuple[FeatureId, tuple[float, ...]], ...] = ()


@dataclass(frozen=True, eq=False)
class Probe:
    """One feature on a text of one's own."""

    feature: FeatureId
    text: str
    texts: tuple[str, ...]  # [T]
    values: Floats  # [T]
    masked: Bools  # [T]

    def __post_init__(self) -> None:
        lock(self)


@dataclass(frozen=True)
class LensRow:
    """What the logit lens reads off one layer at one token."""

    layer: int
    texts: tuple[str, ...]  # likeliest first
    probs: tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """Whether a model fits.

    Attributes:
        needed: Bytes that loading and running it take.
        available: Bytes that are free.
        advice: What would fit, best first, for people; empty when it fits as it is.
    """

    needed: int
    available: int
    advice: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.available


@dataclass(frozen=True)
class SaeInfo:
    """One open SAE, in words and numbers for people.

    Attributes:
        id: Tells it from others, such as ``mlp_out-65k``; empty when its layer says enough.
        hook_name: What it reads; of several hooks, the first.
        hook_out: What it reconstructs; of several hooks, the first.
        prefixes: Nested widths (Matryoshka).
    """

    id: str
    name: str
    format: str
    architecture: str
    layer: int
    hook_name: str
    hook_out: str
    d_in: int
    d_sae: int
    prefixes: tuple[int, ...] = ()
    declared_l0: float | None = None

    @property
    def place(self) -> str:
        """``17``, or ``mlp_out:17`` where there are SAEs of several sites."""
        return f"{self.id}:{self.layer}" if self.id else str(self.layer)


@dataclass(frozen=True)
class ModelInfo:
    """What is loaded, in words and numbers for people."""

    id: str
    path: str
    architecture: str
    n_layers: int
    d_model: int
    vocab_size: int
    context: int
    device: str
    dtype: str
    bytes: int
    packed: bool  # weights re-ordered for the processor (oneDNN)
    has_chat: bool
    seconds: float


@dataclass(frozen=True)
class Loaded:
    """A model and the SAEs that were opened with it."""

    model: ModelInfo
    saes: tuple[SaeInfo, ...]
