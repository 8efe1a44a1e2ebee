"""Which SAEs go with which model, and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desktop_scope.library.entries import Library, ModelEntry, SaeDetails, SaeEntry
from desktop_scope.library.matching import Match, fit, fits, same_model

GEMMA = ModelEntry("google/gemma-2-2b", Path("m"), "Gemma2ForCausalLM", 26, 2304, 2048, 1)


def details(
    model: str | None = "google/gemma-2-2b",
    reads: tuple[str, ...] = ("blocks.12.hook_resid_post",),
    d_in: int = 2304,
) -> SaeDetails:
    return SaeDetails("a", "SAELens", "jumprelu", reads, reads, 12, d_in, d_in, 99, model, None)


def sae(*found: SaeDetails, name: str = "layer_12", **others: str) -> SaeEntry:
    return SaeEntry(Path(name), "org/saes", name, ("SAELens",), 1, details=found, **others)


def match(model_id: str, declared: str) -> Match:
    found = fit(replace(GEMMA, id=model_id), sae(details(declared)))
    assert found is not None
    return found.match


@pytest.mark.parametrize(
    ("model_id", "declared"),
    [
        ("google/gemma-2-2b", "google/gemma-2-2b"),
        ("Google/Gemma-2-2B", "google/gemma-2-2b"),
        ("google/gemma-3-270m", "google/gemma-3-270m-pt"),
        ("google/gemma-3-4b-pt", "google/gemma-3-4b-pt"),
        ("openai-community/gpt2", "gpt2"),
        ("gpt2-xl", "openai-community/gpt2-xl"),
        ("fnlp/some-model", "OpenMOSS-Team/some-model"),
    ],
)
def test_the_model_that_an_sae_names_is_known_by_all_its_names(model_id, declared):
    assert match(model_id, declared) is Match.DECLARED
    assert same_model(declared, model_id)


@pytest.mark.parametrize(
    ("model_id", "declared"),
    [
        ("google/gemma-2-2b-it", "google/gemma-2-2b"),
        ("google/gemma-3-4b-it", "google/gemma-3-4b-pt"),
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Meta-Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("mistralai/Mistral-7B-Instruct-v0.1", "mistralai/Mistral-7B-v0.1"),
        ("Qwen/Qwen3-1.7B-Base", "Qwen/Qwen3-1.7B"),
        ("unsloth/gemma-2-2b", "google/gemma-2-2b"),
        ("gemma-2-2b-it-Q4_K_M", "google/gemma-2-2b-it"),
        ("org/gemma-2-2b-GGUF/gemma-2-2b.Q8_0.gguf", "google/gemma-2-2b"),
        ("unsloth/gemma-2-2b-it-bnb-4bit", "google/gemma-2-2b"),
    ],
)
def test_models_of_one_family_and_size_are_related(model_id, declared):
    assert match(model_id, declared) is Match.RELATED
    assert not same_model(declared, model_id)


@pytest.mark.parametrize(
    ("model_id", "declared"),
    [
        ("google/gemma-2-9b", "google/gemma-2-2b"),
        ("google/gemma-2b", "google/gemma-2-2b"),
        ("google/gemma-3-1b-it", "google/gemma-2-1b-it"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "meta-llama/Llama-3.1-8B"),
        ("EleutherAI/pythia-70m", "EleutherAI/pythia-70m-deduped"),
        ("openai-community/gpt2", "openai-community/gpt2-medium"),
        ("mistralai/Mistral-7B-v0.3", "mistralai/Mistral-7B-v0.1"),
    ],
)
def test_other_models_go_together_by_size_at_most(model_id, declared):
    assert match(model_id, declared) is Match.BY_SIZE


def test_without_a_name_the_size_must_do():
    found = fit(GEMMA, sae(details(None)))
    assert found is not None
    assert found.match is Match.BY_SIZE
    assert "names no model" in found.reason


@pytest.mark.parametrize(
    ("reads", "d_in", "possible"),
    [
        (("blocks.25.hook_resid_post",), 2304, True),
        (("blocks.26.hook_resid_post",), 2304, False),
        (("blocks.12.hook_resid_post",), 2048, False),
        (("blocks.12.attn.hook_z",), 2048, True),
        (("blocks.12.attn.hook_z",), 2304, False),
        (("hook_embed",), 2304, True),
        (("blocks.3.hook_resid_post", "blocks.9.hook_resid_post"), 2 * 2304, True),
        (("blocks.3.hook_resid_post", "blocks.9.hook_resid_post"), 2304, False),
        (("blocks.3.hook_resid_post", "blocks.26.hook_resid_post"), 2 * 2304, False),
    ],
)
@pytest.mark.parametrize("model", [None, "google/gemma-2-2b"])
def test_what_does_not_exist_in_the_model_does_not_fit(reads, d_in, possible, model):
    assert (fit(GEMMA, sae(details(model, reads, d_in))) is not None) == possible


def test_what_is_written_must_exist_too():
    written = replace(details(), writes=("blocks.30.hook_mlp_out",))
    assert fit(GEMMA, sae(written)) is None
    assert fit(GEMMA, sae(replace(details(), d_out=7))) is None


def test_sizes_that_a_model_does_not_tell_exclude_nothing():
    unknown = replace(GEMMA, n_layers=0, d_model=0, d_heads=0)
    assert fit(unknown, sae(details(reads=("blocks.90.attn.hook_z",)))) is not None


def test_a_file_of_several_saes_fits_as_a_whole():
    good, bad = details(), details(reads=("blocks.40.hook_resid_post",))
    assert fit(GEMMA, sae(good, replace(good, name="b"))) is not None
    assert fit(GEMMA, sae(good, bad)) is None


def test_a_file_that_was_not_read_may_be_anything_unless_its_pack_tells():
    unread = fit(GEMMA, sae())
    assert unread is not None
    assert unread.match is Match.UNKNOWN
    of_pack = fit(GEMMA, sae(model="google/gemma-2-2b"))
    assert of_pack is not None
    assert of_pack.match is Match.DECLARED
    assert fit(GEMMA, sae(model="google/gemma-2-9b")) is None


def test_a_file_that_cannot_be_opened_is_offered_for_no_model():
    assert fit(GEMMA, sae(problem="It is damaged.")) is None


def test_the_surest_come_first_and_each_says_why():
    library = Library(
        saes=(
            sae(name="unread"),
            sae(details(None), name="nameless"),
            sae(details("google/gemma-2-2b-it"), name="chat"),
            sae(details("google/gemma-2-9b", d_in=3584), name="other"),
            sae(details(), name="exact"),
        )
    )
    found = fits(GEMMA, library)
    assert [one.sae.name for one in found] == ["exact", "chat", "nameless", "unread"]
    assert "google/gemma-2-2b-it" in found[1].reason
    assert all(one.reason.endswith(".") for one in found)
