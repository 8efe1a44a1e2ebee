"""A trace as one recorded program, for devices where launching kernels costs more than they do.

A GPU finishes the work of a short text before the processor has asked for all of it. A CUDA graph
is recorded once for each length, and then runs without being asked step by step. Texts are padded
to the next recorded length; no token before the padding looks at it, for the models are causal.

The program has fixed shapes: it finds at most ``_PER_TOKEN`` features a token on average. A text
that wakes more, is longer than the longest recording, or is steered takes the way of
``trace.encode_ids``. So do all where a recording fails or does not agree with it.

No machine with CUDA was at hand when this was written: the program and its padding are tested on
the processor, recording itself never ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import recorded_length
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.trace import Activations, Encoded, encode_ids, hooks_of, run
from desktop_scope.engine.types import FeatureActs
from desktop_scope.engine.worker import silent_job

_PER_TOKEN = 512  # active features of one SAE, on average over the recorded length
_MOST_BYTES = 2**30  # of the dense activations of one SAE, several times over
_WARM_UPS = 3  # runs before a graph is recorded, as CUDA's libraries need
_AGREEMENT = 0.95  # share of the active features that both ways find; they round otherwise

Program = Callable[[], tuple[torch.Tensor, ...]]
Recorder = Callable[[Program], Program]


def cuda_graph(program: Program) -> Program:
    """Record what a program launches; its tensors are those of every later run."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UPS):
            program()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = program()

    def replay() -> tuple[torch.Tensor, ...]:
        graph.replay()
        return made

    return replay


class Recordings:
    """The recorded programs of a model with its SAEs.

    Args:
        recorder: Makes a program fast, as ``cuda_graph`` does.
    """

    def __init__(
        self, model: LanguageModel, saes: Sequence[Sae], recorder: Recorder = cuda_graph
    ) -> None:
        self._model, self._saes, self._recorder = model, saes, recorder
        self._by_length: dict[int, _Recording] = {}
        self._given_up = False

    def encode(self, ids: torch.Tensor) -> Encoded | None:
        """As ``trace.encode_ids`` for ids [1, T]; None where nothing recorded serves."""
        recording = self._by_length.get(recorded_length(ids.shape[1]) or 0)
        return recording.encode(ids) if recording else None

    def record(self, length: int) -> str:
        """Record one of the lengths, once, and compare it with the plain way.

        Returns:
            Why there will be no recordings; empty if there are.
        """
        if self._given_up or length in self._by_length or not self._fits(length):
            return ""
        try:
            recording = _Recording(self._model, self._saes, length, self._recorder)
            agrees = self._agrees(recording, length)
        except (RuntimeError, TypeError, ValueError) as error:  # whatever a model does in between
            self._given_up = True
            return f"Traces of this model cannot be recorded, and are slower for it: {error}"
        if not agrees:
            self._given_up = True
            return "Recorded traces of this model came out otherwise, and are not used."
        self._by_length[length] = recording
        return ""

    def _fits(self, length: int) -> bool:
        widest = max((sae.d_sae for sae in self._saes), default=0)
        streamed = any(sae.streamed for sae in self._saes)
        return not streamed and length <= self._model.info.context and (
            4 * length * widest <= _MOST_BYTES
        )  # fmt: skip

    def _agrees(self, recording: _Recording, length: int) -> bool:
        """Whether some text, with padding, comes out as it does without a recording."""
        ids = torch.arange(length - length // 8, device=self._model.device)[None] * 7
        ids = ids % self._model.info.vocab_size
        with torch.inference_mode():
            found = recording.encode(ids)
            plain = encode_ids(self._model, self._saes, ids, silent_job())
        if found is None:  # more fires than there is room for, which says nothing against it
            return True
        return bool((found.masked == plain.masked).all()) and all(
            _overlap(a, b) >= _AGREEMENT for a, b in zip(found.acts, plain.acts, strict=True)
        )


class _Recording:
    """The program for one length, with the tensors that it reads and writes."""

    def __init__(
        self, model: LanguageModel, saes: Sequence[Sae], length: int, recorder: Recorder
    ) -> None:
        self._model, self._saes, self._length = model, saes, length
        device = model.device
        self._capacity = length * _PER_TOKEN
        self._ids = torch.zeros(1, length, dtype=torch.long, device=device)
        self._n_tokens = torch.zeros((), dtype=torch.long, device=device)
        self._place = torch.arange(length, device=device)
        with torch.inference_mode():
            self._more = _masks(model, self._ids)
            self._replay = recorder(self._run)

    def _run(self) -> tuple[torch.Tensor, ...]:
        """Residual streams, what follows the final norm, the rows kept; of the SAEs what fires."""
        kept = run(self._model, self._ids, hooks_of(self._saes), silent_job(), more=self._more)
        keep = (self._place >= 1) & (self._place < self._n_tokens)
        for sae in self._saes:
            if sae.outlier_norm < np.inf:
                keep = keep & (kept.read_by(sae).float().norm(dim=-1) <= sae.outlier_norm)
        found = [
            sae.compact(
                kept.read_by(sae),
                keep & (self._place >= sae.weights.skip_positions),
                self._capacity,
            )
            for sae in self._saes
        ]
        return kept.residual, kept.hidden, keep, *map(torch.stack, zip(*found, strict=True))

    def encode(self, ids: torch.Tensor) -> Encoded | None:
        """Run it on ids [1, T]; None where more fires than there is room for."""
        n = ids.shape[1]
        self._ids.zero_()[:, :n] = ids
        self._n_tokens.fill_(n)
        residual, hidden, keep, *fires = self._replay()
        acts: list[FeatureActs] = []
        if fires:
            counts = fires[0][:, :n].cpu().numpy()
            ends = counts.cumsum(1, dtype=np.int32)
            most = int(ends[:, -1].max())
            if most > self._capacity:
                return None
            index, value = (part[:, :most].cpu().numpy() for part in fires[1:])
            for slot, end in enumerate(ends):
                indptr = np.concatenate([[0], end]).astype(np.int32)
                found = slice(end[-1])
                acts.append(FeatureActs(indptr, index[slot, found], value[slot, found]))
        # The next run writes where this one did.
        kept = Activations(residual[:, :n].clone(), hidden[:n].clone())
        logprobs, following = self._model.read_out(kept.hidden, ids[0])
        masked = ~keep[:n].cpu().numpy()
        return Encoded(kept, masked, tuple(acts), logprobs, following)


def _overlap(a: FeatureActs, b: FeatureActs) -> float:
    """Active features that both have, as a share of those that either has."""
    pairs = [set(zip(x.rows().tolist(), x.indices.tolist(), strict=True)) for x in (a, b)]
    either = len(pairs[0] | pairs[1])
    return len(pairs[0] & pairs[1]) / either if either else 1.0


def _masks(model: LanguageModel, ids: torch.Tensor) -> dict[str, Any]:
    """The attention masks of every block, made beforehand for the decoder to take as they are.

    Making them it would copy constants to the device and look at what is there, neither of which
    can be recorded.
    """
    seen: list[torch.Tensor | None] = []

    def look(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        seen.append(kwargs.get("attention_mask"))

    handles = [
        block.register_forward_pre_hook(look, with_kwargs=True) for block in model.parts.blocks
    ]
    try:
        model.hidden(ids, {}, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    # Where there is none, the attention is told to be causal: the same, said as a mask.
    n = ids.shape[1]
    causal = torch.ones(1, 1, n, n, dtype=torch.bool, device=ids.device).tril()
    masks = [causal if mask is None else mask for mask in seen]
    kinds = model.layer_types
    return {"attention_mask": dict(zip(kinds, masks, strict=True)) if kinds else masks[0]}
