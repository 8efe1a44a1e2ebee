"""One frozen request per user act that needs the model. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from desktop_scope.engine.types import FeatureId, Intervention, Prompt, Sampling, Trace


@dataclass(frozen=True)
class Request:
    """Work for a worker thread.

    Attributes:
        kind: What it is; a newer request of the same kind makes an older one worthless.
        replaces: The kinds whose unfinished requests are cancelled when this one arrives.
        worker: Which thread carries it out: ``engine`` runs the model, ``lookup`` only reads what
            is there, ``search`` goes through this machine's folders.
        patient: It runs on the engine's thread only while nothing that somebody waits for does;
            it is cancelled for that, and wanted again afterwards.
    """

    kind: ClassVar[str] = ""
    replaces: ClassVar[frozenset[str]] = frozenset()
    worker: ClassVar[Literal["engine", "lookup", "search"]] = "lookup"
    patient: ClassVar[bool] = False

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for it, and the engine for nothing else meanwhile."""
        return self.worker == "engine" and not self.patient


@dataclass(frozen=True)
class Placement:
    """Where and how an SAE is attached, other than its file says.

    Attributes:
        name: The SAE's, as its file gives it.
    """

    name: str
    hook_name: str
    hook_out: str
    norm: str
    centred: bool
    subtract_b_dec: bool


@dataclass(frozen=True)
class Workspace:
    """What is open: a model and SAEs that read it.

    Attributes:
        model: A folder or a GGUF file; None takes the model of the pack among ``saes``.
        saes: SAE files, folders of them, and packs.
        moved: SAEs that are attached other than their files say.
    """

    saes: tuple[Path, ...] = ()
    model: Path | None = None
    moved: tuple[Placement, ...] = ()


@dataclass(frozen=True)
class LoadModel(Request):
    """Open a model, make it ready for this device, and open its SAEs."""

    kind = "load"
    replaces = frozenset(
        {
            "load", "trace", "generate", "probe", "damage", "check", "vector", "sweep",
            "controls", "rule",
        }
    )  # fmt: skip
    worker = "engine"

    workspace: Workspace
    device: str = "auto"
    dtype: str = "auto"
    spare_cores: int = 0  # cores left to others: 1 while a window must stay fluid
    attempt: int = 0  # loads again when it failed before
    sae_dtype: str = "float32"  # of the encoders; bfloat16 takes half the memory


@dataclass(frozen=True)
class TracePrompt(Request):
    """Run a text once and encode it with every open SAE."""

    kind = "trace"
    replaces = frozenset({"trace"})
    worker = "engine"

    prompt: Prompt
    answer: tuple[int, ...] = ()
    interventions: tuple[Intervention, ...] = ()


_RECORDED_LENGTHS = (32, 64, 128, 256, 512)  # tokens


def recorded_length(n_tokens: int) -> int | None:
    """The recorded length that a text is padded to; None where it is too long."""
    return next((length for length in _RECORDED_LENGTHS if n_tokens <= length), None)


@dataclass(frozen=True)
class RecordTrace(Request):
    """Make traces of one length fast, where the device can record them."""

    kind = "record"
    replaces = frozenset({"record"})
    worker = "engine"
    patient = True

    length: int
    workspace: Workspace
    attempt: int


@dataclass(frozen=True)
class Generate(Request):
    """Answer a prompt once for each set of interventions, the answers streaming together.

    Attributes:
        prompts: One for each run, where they differ: the columns of a chat go on each from its own
            answers.
    """

    kind = "generate"
    replaces = frozenset({"generate"})
    worker = "engine"

    prompt: Prompt
    runs: tuple[tuple[Intervention, ...], ...] = ((),)
    sampling: Sampling = field(default_factory=Sampling)
    prompts: tuple[Prompt, ...] = ()

    @property
    def questions(self) -> tuple[tuple[Prompt, tuple[Intervention, ...]], ...]:
        """What is asked, and with which interventions, for each run."""
        prompts = self.prompts or (self.prompt,) * len(self.runs)
        return tuple(zip(prompts, self.runs, strict=True))


@dataclass(frozen=True)
class Watch(Request):
    """Read these features off the answers, while they are said."""

    kind = "watch"
    replaces = frozenset({"watch"})

    features: tuple[FeatureId, ...]


@dataclass(frozen=True)
class ProbeFeature(Request):
    """How strongly one feature fires on a text of one's own."""

    kind = "probe"
    replaces = frozenset({"probe"})
    worker = "engine"

    feature: FeatureId
    text: str


@dataclass(frozen=True)
class MeasureDamage(Request):
    """What interventions cost on neutral texts, on texts near to what they steer, and in a quiz.

    The neutral texts are measured first and come as a partial result, then the others.

    Attributes:
        quiz: Ask the quiz, and for short answers.
        near: Measure texts near to it, too, which have to be found first.
    """

    kind = "damage"
    replaces = frozenset({"damage"})
    worker = "engine"

    interventions: tuple[Intervention, ...]
    quiz: bool = False
    near: bool = False


@dataclass(frozen=True)
class MakeVector(Request):
    """The direction from one set of prompts to another: the difference of their means.

    Attributes:
        hook_name: Where it is read, and will be added.
    """

    kind = "vector"
    replaces = frozenset({"vector"})
    worker = "engine"

    name: str
    towards: tuple[Prompt, ...]
    away: tuple[Prompt, ...]
    hook_name: str


@dataclass(frozen=True)
class ReadVector(Request):
    """A file's vectors: .safetensors, .npy, or a control vector in .gguf.

    Attributes:
        hook_name: Where it is added, if the file does not say.
    """

    kind = "read vector"
    replaces = frozenset({"read vector"})

    path: Path
    hook_name: str = ""


@dataclass(frozen=True)
class CheckSae(Request):
    """How one of the open SAEs fits where it is attached."""

    kind = "check"
    replaces = frozenset({"check"})
    worker = "engine"
    patient = True

    slot: int
    workspace: Workspace


@dataclass(frozen=True)
class MeasureSizes(Request):
    """What every dictionary at the site of an SAE loses of a text.

    Attributes:
        trace: Whose tokens are read again, without steering.
    """

    kind = "sizes"
    replaces = frozenset({"sizes"})
    worker = "engine"
    patient = True

    trace: Trace
    slot: int


@dataclass(frozen=True)
class ScoreLevers(Request):
    """Score some more features of one of the open SAEs as levers.

    Attributes:
        known: So many have been scored.
    """

    kind = "levers"
    replaces = frozenset({"levers"})
    worker = "engine"
    patient = True

    slot: int
    known: int
