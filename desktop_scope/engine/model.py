"""A language model from a local folder: text to tokens, tokens to residual streams and logits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from desktop_scope.engine.devices import choose_device, choose_dtype, no_collection, use_threads
from desktop_scope.engine.families import parts_of
from desktop_scope.engine.hooks import Edit, after_blocks
from desktop_scope.engine.packed import pack_model, packing_pays
from desktop_scope.engine.types import Bools, Floats, ModelInfo, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_ROWS_AT_ONCE = 128  # of [tokens, vocabulary]: bounds the memory, and stays in the cache
_STAND_IN = "\ue000"  # a private character, which no chat template uses


@dataclass(frozen=True, eq=False)
class Encoded:
    """A prompt as tokens.

    Attributes:
        own: [T] the user's own text, not the template around it.
    """

    ids: list[int]
    own: Bools


class LanguageModel:
    """A transformers causal language model with its tokenizer.

    Attributes:
        info: What is loaded, for people.
        d_model: Width of the residual stream.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        info: ModelInfo,
        raw_first_token: int | None,
    ) -> None:
        self.info = info
        self.d_model = info.d_model
        self.device = torch.device(info.device)
        self._model = model
        self._tokenizer = tokenizer
        self._raw_first = [] if raw_first_token is None else [raw_first_token]
        # The unembedding as plain rows, since packed ones cannot be read back; where it is the
        # embedding too, these are the same numbers in memory.
        self.W_U: torch.Tensor = model.get_output_embeddings().weight
        if info.packed:
            tied = model.get_input_embeddings().weight is self.W_U
            pack_model(model)
            self.W_U = model.get_input_embeddings().weight if tied else self.W_U.clone()
        self.parts = parts_of(model)
        self.stop_ids = _stop_ids(model, tokenizer)
        self.texts = _vocabulary(tokenizer, info.vocab_size)

    # ---- text and tokens

    def encode(self, prompt: Prompt) -> Encoded:
        """Tokens of a prompt, chat template or first token included.

        Raises:
            ScopeError: Empty, longer than the context, or a chat with a model that has no template.
        """
        text = prompt.text.strip() if prompt.chat else prompt.text
        if not text.strip():
            raise ScopeError("The prompt is empty.", "Type something for the model to read.")
        first, whole, begin = self._raw_first, text, 0
        if prompt.chat:
            if not self.info.has_chat:
                raise ScopeError("This model has no chat template.", "Switch to raw text.")
            # The template's own words may hold the text too ("assistant"), so look for its place.
            first, whole, begin = [], self._chat(text), self._chat(_STAND_IN).index(_STAND_IN)
        tokens = self._tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids = [*first, *tokens["input_ids"]]
        if len(ids) > self.info.context:
            raise ScopeError(
                f"The prompt is {len(ids):,} tokens long; this model reads at most "
                f"{self.info.context:,}.",
                "Shorten it.",
            )
        own = [a < begin + len(text) and b > begin for a, b in tokens["offset_mapping"]]
        return Encoded(ids, np.array([False] * len(first) + own))

    def _chat(self, text: str) -> str:
        """The text as a user's turn, up to where the answer begins."""
        turns = [{"role": "user", "content": text}]
        return str(
            self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        )

    def token_id(self, text: str) -> int:
        """The token of a word: with the leading space that words in a text have, else as given.

        Raises:
            ScopeError: It is several tokens.
        """
        for form in (" " + text, text):
            ids = self._tokenizer.encode(form, add_special_tokens=False)
            if len(ids) == 1:
                return int(ids[0])
        raise ScopeError(
            f"“{text}” is more than one token of this model.",
            "Try its beginning, or a shorter word.",
        )

    def decode(self, ids: list[int] | tuple[int, ...]) -> str:
        """Text of an answer, without special tokens and without half a character at its end."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).rstrip("\ufffd")

    # ---- running

    def hidden(self, ids: torch.Tensor, edits: Mapping[int, Edit], **more: Any) -> torch.Tensor:
        """Run the decoder: [batch, pos] → [batch, pos, d_model] after the final norm.

        Args:
            ids: Token ids.
            edits: By block, what to do with its resid_post.
            more: Passed to the transformers model, such as a key-value cache.
        """
        with after_blocks(self.parts.blocks, edits):
            return self._model.base_model(input_ids=ids, **more).last_hidden_state  # type: ignore[no-any-return]

    def new_cache(self) -> Any:
        """An empty key-value cache, to be passed as ``past_key_values``."""
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., d_model] after the final norm → [..., vocabulary] float32."""
        logits: torch.Tensor = self.parts.unembed(hidden).float()
        cap = getattr(self._model.config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def read_out(self, hidden: torch.Tensor, ids: torch.Tensor) -> tuple[Floats, torch.Tensor]:
        """What the model expected all along, and what it expects next.

        Args:
            hidden: [T, d_model] after the final norm.
            ids: [T].

        Returns:
            log p of each token given those before it, nats [T], nan at 0; logits after the last
            token [vocabulary].
        """
        parts = [torch.full((1,), torch.nan)]
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            logits = self.logits(hidden[start : start + _ROWS_AT_ONCE])
            said = ids[start + 1 : start + 1 + len(logits)]
            parts.append(-cross_entropy(logits[: len(said)], said, reduction="none").cpu())
        return torch.cat(parts).numpy(), logits[-1]


def load_model(
    folder: Path,
    model_id: str,
    job: Job,
    device: str = "auto",
    dtype: str = "auto",
    spare_cores: int = 0,
    raw_first_token: int | None = None,
) -> LanguageModel:
    """Load a transformers model and its tokenizer from a folder, never from a network.

    Args:
        folder: Holds config.json, safetensors weights and the tokenizer.
        model_id: Its name for people.
        job: Told of the progress.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32 or bfloat16.
        spare_cores: Cores left to the window.
        raw_first_token: Put before text without a chat template; None takes the tokenizer's BOS.

    Raises:
        ScopeError: Not loadable, or the device or number type is not to be had.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start = time.perf_counter()
    use_threads(spare_cores)
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    job.progress(0, 3, "Reading the tokenizer")
    with no_collection():
        try:
            # On a thread of its own: transformers leaves a traceback behind which would hold the
            # frames above, hence this model, in memory when another one is opened.
            with ThreadPoolExecutor(1) as pool:
                tokenizer = pool.submit(
                    AutoTokenizer.from_pretrained, folder, local_files_only=True
                ).result()
            job.progress(1, 3, "Reading the weights")
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=kind, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise ScopeError(
                f"The model in {folder} cannot be loaded: {error}",
                "Check that it holds config.json, safetensors weights and a tokenizer.",
            ) from error
        model = model.eval().requires_grad_(False).to(where)
        job.progress(2, 3, "Making the weights ready for this processor")
        packed = where.type == "cpu" and kind == torch.float32 and packing_pays()
        config = model.config.get_text_config()
        n_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
        first = tokenizer.bos_token_id if raw_first_token is None else raw_first_token
        info = ModelInfo(
            id=model_id,
            path=str(folder),
            architecture=type(model).__name__,
            n_layers=config.num_hidden_layers,
            d_model=config.hidden_size,
            vocab_size=config.vocab_size,
            context=config.max_position_embeddings,
            device=where.type,
            dtype=str(kind).removeprefix("torch."),
            bytes=n_bytes,
            packed=packed,
            has_chat=tokenizer.chat_template is not None,
            seconds=time.perf_counter() - start,
        )
        return LanguageModel(model, tokenizer, info, first)


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    config = model.generation_config.eos_token_id
    ids = config if isinstance(config, list) else [config]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def _vocabulary(tokenizer: Any, size: int) -> tuple[str, ...]:
    """A readable text for every token id; bytes that are no character by themselves as ⟨E2⟩."""
    texts = tokenizer.batch_decode([[i] for i in range(size)], clean_up_tokenization_spaces=False)
    pieces = tokenizer.convert_ids_to_tokens(list(range(size)))
    return tuple(
        _bytes_text(piece) if "\ufffd" in text and piece else text
        for text, piece in zip(texts, pieces, strict=True)
    )


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes (the table of every byte-level BPE)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    table = {chr(b): b for b in plain}
    return table | {chr(256 + n): b for n, b in enumerate(others)}


_BYTES = _byte_alphabet()


def _bytes_text(piece: str) -> str:
    """Each byte of a byte-level piece by its code; the piece itself if it is something else."""
    if not all(char in _BYTES for char in piece):
        return piece
    return "".join(f"⟨{_BYTES[char]:02X}⟩" for char in piece)
