"""A language model from a local folder: text to tokens, tokens to residual streams and logits."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from desktop_scope.engine.aligning import common_prefix
from desktop_scope.engine.families import device_of, parts_of
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, hooked
from desktop_scope.engine.packed import pack_model
from desktop_scope.engine.types import Bools, Floats, ModelInfo, Prompt, Role, Turn
from desktop_scope.errors import ScopeError

Spans = list[tuple[int, int]]  # begin and end, in characters

_ROWS_AT_ONCE = 128  # of [tokens, vocabulary]: bounds the memory, and stays in the cache
_SHORTEST = 8  # characters of a text that is worth cutting in half
_STAND_IN = "\ue000"  # a private character, which no chat template uses


@dataclass(frozen=True, eq=False)
class Encoded:
    """A prompt as tokens.

    Attributes:
        own: [T] what was said in the turns, not the template around it.
    """

    ids: list[int]
    own: Bools


class LanguageModel:
    """A transformers causal language model with its tokenizer.

    Attributes:
        info: What is loaded, for people.
        d_model: Width of the residual stream.
        raw_first_token: Put before text without a chat template; None for nothing.
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
        self._model = model.requires_grad_(False)  # gradients are of activations only
        self._tokenizer = tokenizer
        self.raw_first_token = raw_first_token
        # The unembedding as plain rows, since packed ones cannot be read back; where it is the
        # embedding too, these are the same numbers in memory.
        self.W_U = _weight_of(model.get_output_embeddings())
        if info.packed:
            tied = model.get_input_embeddings().weight is self.W_U
            pack_model(model)
            self.W_U = model.get_input_embeddings().weight if tied else self.W_U.clone()
        self.parts = parts_of(model)
        self.device = device_of(self.parts.embed)
        self.stop_ids = _stop_ids(model, tokenizer)
        self.texts = vocabulary(tokenizer, len(self.W_U))
        # transformers gave its cache argument a new name.
        names = inspect.signature(self.parts.decoder.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"
        self._logit_factor, self._logit_cap = _logit_rules(model)

    # ---- text and tokens

    def begin_like(self, other: LanguageModel) -> None:
        """Begin raw texts as another model does, if the two have one vocabulary."""
        if self.texts == other.texts:
            self.raw_first_token = other.raw_first_token

    def encode(self, prompt: Prompt) -> Encoded:
        """Tokens of a prompt, chat template or first token included.

        Raises:
            ScopeError: Empty, longer than the context, or a chat with a model that has no template.
        """
        text = prompt.text.strip() if prompt.chat else prompt.text
        if not text.strip():
            raise ScopeError("The prompt is empty.", "Type something for the model to read.")
        first = [] if self.raw_first_token is None else [self.raw_first_token]
        whole, spans = text, [(0, len(text))]
        if prompt.chat:
            first = []
            whole, spans = self._chat((*prompt.turns, Turn(Role.USER, text)))
        tokens, own = self._tokens(whole, spans)
        ids = [*first, *tokens]
        if len(ids) > self.info.context:
            raise ScopeError(
                f"The prompt is {len(ids):,} tokens long; this model reads at most "
                f"{self.info.context:,}.",
                "Shorten it.",
            )
        if max(ids, default=0) >= len(self.texts):
            raise ScopeError(
                "The prompt has a token that this model has no embedding for.",
                "Leave special tokens out, or get the tokenizer that belongs to the model.",
            )
        return Encoded(ids, np.array([False] * len(first) + own))

    def encode_within(self, text: str) -> list[int]:
        """Token ids of a raw text, or of as much of its beginning as the model reads at once."""
        while True:
            try:
                return self.encode(Prompt(text, chat=False)).ids
            except ScopeError:
                if len(text) < _SHORTEST:
                    raise
                text = text[: len(text) // 2]

    def _tokens(self, whole: str, spans: Spans) -> tuple[list[int], list[bool]]:
        """Token ids of a text, and which of them lie at least partly in one of some spans of it."""
        if self._tokenizer.is_fast:
            tokens = self._tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
            within = [
                any(a < end and b > begin for begin, end in spans)
                for a, b in tokens["offset_mapping"]
            ]
            return tokens["input_ids"], within
        # Tokenizers in pure Python do not say where a token lies: take off what the text before
        # and after has in common with the whole.
        ids = self._tokenizer.encode(whole, add_special_tokens=False)
        own = [False] * len(ids)
        for begin, end in spans:
            before, after = (
                self._tokenizer.encode(part, add_special_tokens=False)
                for part in (whole[:begin], whole[end:])
            )
            low = common_prefix(ids, before)
            high = len(ids) - common_prefix(ids[low:][::-1], after[::-1])
            own[low:high] = [True] * (high - low)
        return ids, own

    def _chat(self, turns: Sequence[Turn]) -> tuple[str, Spans]:
        """The turns as the model reads them, up to where the answer begins, and where each lies.

        Raises:
            ScopeError: There is no template, or it does not work with these turns.
        """
        if not self.info.has_chat:
            raise ScopeError("This model has no chat template.", "Switch to raw text.")
        said = [Turn(turn.role, turn.text.strip()) for turn in turns]
        said = [turn for turn in said if turn.text or turn.role is not Role.SYSTEM]
        if not all(turn.text for turn in said):
            raise ScopeError("A turn of the chat is empty.", "Write something, or take it out.")
        whole = self._templated(said)
        # The template's own words may hold a text too ("assistant"): look for their places.
        around = self._templated([Turn(turn.role, _STAND_IN) for turn in said]).split(_STAND_IN)
        spans, rebuilt = [], around[0]
        for turn, after in zip(said, around[1:], strict=False):
            spans.append((len(rebuilt), len(rebuilt) + len(turn.text)))
            rebuilt += turn.text + after
        if rebuilt != whole or len(spans) < len(said):
            raise ScopeError(
                "The chat template of this model does not keep the text as it is.",
                "Switch to raw text.",
            )
        return whole, spans

    def _templated(self, turns: Sequence[Turn]) -> str:
        said = [{"role": str(turn.role), "content": turn.text} for turn in turns]
        try:
            chat = self._tokenizer.apply_chat_template(
                said, add_generation_prompt=True, tokenize=False
            )
        except Exception as error:  # a template is a program, and may fail in its own way
            raise ScopeError(
                f"The chat template of this model does not work: {error}",
                "Switch to raw text, or leave a system prompt out: some models know none.",
            ) from error
        return str(chat)

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

    def continuation(self, text: str) -> list[int]:
        """Tokens of literal text that goes on where other text ends, a leading space included.

        Raises:
            ScopeError: It is empty, or a token of it has no embedding.
        """
        # Some tokenizers put a space before what they take for the beginning of a text.
        before, both = (
            self._tokenizer.encode(part, add_special_tokens=False) for part in ("a", "a" + text)
        )
        ids = both[len(before) :]
        if both[: len(before)] != before:
            ids = self._tokenizer.encode(text, add_special_tokens=False)
        if not ids or max(ids) >= len(self.texts):
            raise ScopeError(
                f"“{text}” is no text for this model.", "Write the words that are to follow."
            )
        return [int(i) for i in ids]

    def decode(self, ids: list[int] | tuple[int, ...]) -> str:
        """Text of an answer, without special tokens and without half a character at its end."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).rstrip("\ufffd")

    # ---- running

    @property
    def layer_types(self) -> tuple[str, ...]:
        """What attention each block pays (full, sliding), where the configuration says."""
        config = self._model.config.get_text_config(decoder=True)
        return tuple(getattr(config, "layer_types", None) or ())

    def hidden(
        self, ids: torch.Tensor, edits: Mapping[HookPoint, Edit], **more: Any
    ) -> torch.Tensor:
        """Run the decoder: [batch, pos] → [batch, pos, d_model] after the final norm.

        Args:
            ids: Token ids.
            edits: By hook point, what to do with the activations there.
            more: Passed to the transformers model, such as ``past_key_values``.
        """
        if "past_key_values" in more:
            more[self._cache_name] = more.pop("past_key_values")
        with hooked(self.parts, edits):
            return self.parts.decoder(input_ids=ids, **more).last_hidden_state  # type: ignore[no-any-return]

    def new_cache(self, size: int | None = None) -> Any:
        """An empty key-value cache, to be passed as ``past_key_values``.

        Args:
            size: Of a cache that holds so many tokens and no more; None for one that grows.
        """
        from transformers import DynamicCache
        from transformers.cache_utils import Cache, StaticLayer

        if size is None:
            return DynamicCache(config=self._model.config.get_text_config(decoder=True))
        return Cache(layers=[StaticLayer(max_cache_len=size) for _ in self.parts.blocks])

    @property
    def sliding_window(self) -> int | None:
        """How far back layers look that do not look at everything; None where all do."""
        config = self._model.config.get_text_config(decoder=True)
        return getattr(config, "sliding_window", None)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., d_model] after the final norm → [..., vocabulary] float32."""
        logits: torch.Tensor = self.parts.unembed(hidden).float()
        if self._logit_factor != 1:
            logits = logits * self._logit_factor
        cap = self._logit_cap
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def own_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """What the transformers model makes of [batch, pos]: [batch, pos, vocabulary] float32."""
        return self._model(input_ids=ids, use_cache=False).logits.float()  # type: ignore[no-any-return]

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
            said = ids[start + 1 : start + 1 + len(logits)].to(logits.device)
            parts.append(-cross_entropy(logits[: len(said)], said, reduction="none").cpu())
        return torch.cat(parts).numpy(), logits[-1]


def _weight_of(module: Any) -> torch.Tensor:
    """A module's weight, fetched if it waits in memory or on disk."""
    if not module.weight.is_meta:
        return module.weight  # type: ignore[no-any-return]
    from accelerate.utils import align_module_device  # type: ignore[import-untyped]

    with align_module_device(module):
        return module.weight.detach().clone()  # type: ignore[no-any-return]


def _logit_rules(model: Any) -> tuple[float, float | None]:
    """What a model multiplies its logits by (Cohere, Granite), and their soft cap (Gemma 2)."""
    config = model.config
    factor = getattr(model, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
    return factor, getattr(config, "final_logit_softcapping", None)


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    config = getattr(model.generation_config, "eos_token_id", None)
    ids = config if isinstance(config, list) else [config]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def vocabulary(tokenizer: Any, size: int) -> tuple[str, ...]:
    """A readable text for every row of the unembedding.

    Bytes that are no character by themselves show as ⟨E2⟩; rows that the tokenizer has no token
    for, added to make the number round, as ⟨no token 49999⟩.
    """
    if tokenizer.is_fast:
        pieces = tokenizer.convert_ids_to_tokens(list(range(size)))
    else:
        names = {i: piece for piece, i in tokenizer.get_vocab().items()}
        pieces = [names.get(i) for i in range(size)]
    known = [i for i, piece in enumerate(pieces) if piece is not None]
    decoded = tokenizer.batch_decode([[i] for i in known], clean_up_tokenization_spaces=False)
    texts = dict(zip(known, decoded, strict=True))
    return tuple(
        f"⟨no token {i}⟩"
        if piece is None
        else (_bytes_text(piece) if "\ufffd" in texts[i] else texts[i])
        for i, piece in enumerate(pieces)
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
