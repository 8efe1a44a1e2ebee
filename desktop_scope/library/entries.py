"""What is found on this machine, as plain values that a window can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class ModelEntry:
    """A language model on disk.

    Attributes:
        id: Hugging Face id where it is known, else the name of the folder or file.
        path: A folder with config.json, or a GGUF file.
        architecture: As the config (``LlamaForCausalLM``) or the GGUF header (``llama``) says.
        n_layers: Number of decoder blocks; 0 where it is not said.
        d_model: Width of the residual stream; 0 where it is not said.
        d_heads: Width of all heads' outputs side by side (``attn.hook_z``); 0 where not said.
        bytes: Size of the weights.
        problem: Why it cannot be opened; empty when nothing speaks against it.
    """

    id: str
    path: Path
    architecture: str
    n_layers: int
    d_model: int
    d_heads: int
    bytes: int
    problem: str = ""


@dataclass(frozen=True)
class SaeDetails:
    """One SAE as its file describes it.

    Attributes:
        name: Unique among the SAEs of one entry.
        reads: Names of the hooks whose activations are encoded.
        writes: Names of the hooks that are reconstructed.
        layer: Of the first hook that is read.
        d_in: Width of what is read, all hooks together.
        model: Hugging Face id of the model it was made for; None where the file does not say.
    """

    name: str
    format: str
    architecture: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    layer: int
    d_in: int
    d_out: int
    d_sae: int
    model: str | None
    declared_l0: float | None

    @property
    def hook_name(self) -> str:
        """The first hook that is read."""
        return self.reads[0]


@dataclass(frozen=True)
class SaeEntry:
    """A file or folder that by its name is an SAE, or several that belong together.

    Attributes:
        path: What to open.
        repo: Hugging Face id of the repository it lies in, else the name of the folder searched.
        name: Its place in there, such as ``layer_12/width_16k/average_l0_82``; may be empty.
        formats: The formats it may be in, going by names.
        bytes: Size of the files by which it was recognised.
        model: Hugging Face id of the model of the pack that it belongs to; empty without one.
        details: One for each SAE in it; empty until they were read.
        problem: Why it could not be opened; empty when nothing speaks against it.
    """

    path: Path
    repo: str
    name: str
    formats: tuple[str, ...]
    bytes: int
    model: str = ""
    details: tuple[SaeDetails, ...] = ()
    problem: str = ""

    @property
    def id(self) -> str:
        """Repository and name."""
        return f"{self.repo}/{self.name}" if self.name else self.repo


@dataclass(frozen=True)
class PackEntry:
    """A model's SAEs with the evidence about their features.

    Attributes:
        figures: How well the SAEs describe the model, as their makers measured; may be empty.
    """

    id: str
    path: Path
    model: str
    n_saes: int
    n_features: int
    figures: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Library:
    """All that was found, in the order in which people count.

    Attributes:
        unreadable: Folders that could not be looked into.
        links: Links to other folders, which are not followed.
    """

    models: tuple[ModelEntry, ...] = ()
    saes: tuple[SaeEntry, ...] = ()
    packs: tuple[PackEntry, ...] = ()
    unreadable: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()

    def with_saes(self, saes: Iterable[SaeEntry]) -> Library:
        """The same with these entries in place of those of the same path."""
        newer = {sae.path: sae for sae in saes}
        return replace(self, saes=tuple(newer.get(sae.path, sae) for sae in self.saes))

    def matching(self, words: str) -> Library:
        """Only what contains every one of the words, whatever their case."""
        wanted = words.casefold().split()

        def holds(*texts: str) -> bool:
            text = " ".join(texts).casefold()
            return all(word in text for word in wanted)

        return replace(
            self,
            models=tuple(m for m in self.models if holds(m.id, m.path.name, m.architecture)),
            saes=tuple(sae for sae in self.saes if holds(*_texts(sae))),
            packs=tuple(p for p in self.packs if holds(p.id, p.path.name, p.model)),
        )


def _texts(sae: SaeEntry) -> Iterable[str]:
    yield from (sae.id, sae.path.name, sae.model, *sae.formats)
    for one in sae.details:
        yield from (one.name, one.format, one.architecture, *one.reads, *one.writes)
        yield one.model or ""


def as_text(path: Path | str) -> str:
    """A path for people and programs; bytes in it that are no text are replaced."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def counting_order(text: str) -> list[str | int]:
    """A key by which layer_2 comes before layer_12."""
    parts = _NUMBER.split(text.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
