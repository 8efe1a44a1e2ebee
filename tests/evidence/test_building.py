"""What is gathered equals a dense computation; a run that is killed comes to the same bytes."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.numpy import load_file, save_file
from small_saes import weights
from tiny_models import D_MODEL, TEXT, VOCAB, reference, save_tiny, tiny

from desktop_scope import paths
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.loading import load_model
from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import Job, Progress, silent_job
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.evidence.building.blocks import Block
from desktop_scope.evidence.building.builder import Built, build
from desktop_scope.evidence.building.corpus import Row, default_corpus, text_corpus
from desktop_scope.evidence.building.gather import Gathered
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.labeller import Labeller
from desktop_scope.evidence.own import FILE, OwnEvidence, evidence_key
from desktop_scope.evidence.own_texts import OwnPart, OwnTexts
from desktop_scope.evidence.requests import RankBy, RankFeatures, Scope
from desktop_scope.evidence.store import BIN_EDGES, N_TOP, WINDOW, WINDOW_LEFT
from desktop_scope.evidence.types import Source

N = 48  # features
WORDS = 24  # distinct tokens: fewer than a feature keeps, so that shares are exact


@dataclass
class Lines:
    """A corpus of token ids; some rows are of one document, some begin with what is not counted."""

    n_rows: int
    n_words: int = WORDS
    key: str = "lines"

    def rows(self, document: int = 0) -> Iterator[Row]:
        rng = np.random.default_rng(3)
        words = rng.choice(np.arange(2, 290), self.n_words, replace=False)
        for n in range(self.n_rows):
            ids = rng.choice(words, rng.integers(3, 60)).astype(np.int32)
            if n // 3 >= document:
                yield Row(ids, n % 4, n // 3, (n + 1) / self.n_rows)


def an_engine(model=None, n_features: int = N) -> Engine:
    model = model or tiny("llama")
    one = weights(1, d_in=D_MODEL, d_sae=n_features)
    other = weights(0, Site.RESID_POST, D_MODEL, 32, 1, Architecture.TOPK)
    return Engine(model, [Sae(w, model.device) for w in (one, other)])


@cache
def dense(n_rows: int, n_words: int = WORDS) -> dict[str, np.ndarray]:
    """Activations of the first SAE, by transformers alone and the equation of a jumprelu SAE."""
    w = weights(1, d_in=D_MODEL, d_sae=N)
    acts, tokens, row, document, counted = [], [], [], [], []
    for n, line in enumerate(Lines(n_rows, n_words).rows()):
        ids = torch.from_numpy(line.ids).long()[None]
        with torch.inference_mode():
            x = reference("llama")(ids, output_hidden_states=True).hidden_states[2][0]
        h = x @ w.W_enc.T + w.b_enc
        f = torch.where(h > w.threshold, h.relu(), 0.0)
        f[: max(line.start, 1)] = 0
        acts.append(f.numpy())
        tokens.append(line.ids)
        row.append(np.full(len(line.ids), n))
        document.append(np.full(len(line.ids), line.document))
        counted.append(np.arange(len(line.ids)) >= max(line.start, 1))
    parts = {"acts": acts, "tokens": tokens, "row": row, "document": document, "counted": counted}
    return {name: np.concatenate(part) for name, part in parts.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    return build(an_engine(), Lines(70), silent_job(), tmp_path_factory.mktemp("evidence"))


@pytest.fixture
def evidence(built) -> OwnEvidence:
    (folder,) = (f for f in built.folders if "blocks.1" in hook_of(f))
    return OwnEvidence(folder, N, tuple(map(str, range(VOCAB))))


def hook_of(folder: Path) -> str:
    raw = (folder / FILE).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return header["__metadata__"]["hook_name"]


# ---- figures


def test_densities_means_maxima_and_histograms_equal_a_dense_computation(built, evidence):
    truth = dense(70)
    acts, n = truth["acts"], int(truth["counted"].sum())
    assert (built.features, built.tokens, evidence.n_tokens) == (N + 32, n, n)
    fires = acts > 0
    np.testing.assert_allclose(evidence.density, fires.mean(0) * len(acts) / n, rtol=1e-6)
    silent = ~fires.any(0)
    np.testing.assert_array_equal(np.isnan(evidence.max_active), silent)
    np.testing.assert_allclose(evidence.max_active[~silent], acts.max(0)[~silent], rtol=1e-4)
    mean = acts.sum(0)[~silent] / fires.sum(0)[~silent]
    np.testing.assert_allclose(evidence.mean_active[~silent], mean, rtol=1e-4)
    edges = [0, *BIN_EDGES[1:-1], np.inf]
    for index in range(N):
        expected, _ = np.histogram(acts[fires[:, index], index], edges)
        np.testing.assert_array_equal(evidence.histogram(index), expected)


def test_the_strongest_examples_are_those_of_a_dense_computation_one_per_document(evidence):
    truth = dense(70)
    for index in range(N):
        acts = truth["acts"][:, index]
        best = [
            (acts[of].max(), int(np.flatnonzero(of)[acts[of].argmax()]))
            for document in np.unique(truth["document"])
            for of in [truth["document"] == document]
        ]
        best = sorted((pair for pair in best if pair[0] > 0), reverse=True)[:N_TOP]
        found = [e for e in evidence.examples(index) if e.band == "top"]
        assert len(found) == len(best)
        for example, (value, position) in zip(found, best, strict=True):
            assert example.value == pytest.approx(value, rel=1e-4)
            assert_lies_at(example, index, position, truth)


def test_mid_range_examples_lie_in_the_middle_and_are_not_shown_twice(evidence):
    truth = dense(70)
    counts = []
    for index in range(N):
        acts = truth["acts"][:, index]
        examples = evidence.examples(index)
        shown = [e.value for e in examples if e.band == "top"]
        found = [e for e in examples if e.band == "mid"]
        fits = (acts >= 0.2 * acts.max()) & (acts <= 0.6 * acts.max()) & (acts > 0)
        assert len({e.value for e in found}) == len(found)
        for example in found:
            assert example.value not in shown
            position = int(np.abs(acts - example.value).argmin())
            assert fits[position]
            assert_lies_at(example, index, position, truth)
        counts.append((len(found), fits.sum()))
    assert all(n == 6 for n, there in counts if there > 100)
    assert sum(there > 100 for _, there in counts) > 10


def assert_lies_at(example, index, position, truth) -> None:
    """The window holds the tokens and activations around a position, within its row."""
    around = np.arange(position - WINDOW_LEFT, position - WINDOW_LEFT + WINDOW)
    around = around[(around >= 0) & (around < len(truth["row"]))]
    around = around[truth["row"][around] == truth["row"][position]]
    assert example.texts == tuple(map(str, truth["tokens"][around]))
    assert around[example.peak] == position
    expected = truth["acts"][around, index]
    np.testing.assert_allclose(example.values, expected, atol=expected.max() / 509 + 1e-4)


def test_what_is_shown_of_examples_can_be_read_again(evidence):
    """``evidence``'s tokens read as their numbers."""
    for index in range(N):
        examples, rows = evidence.examples(index), evidence.stretches(index)
        assert len(rows) == len(examples)
        for row, example in zip(rows, examples, strict=True):
            shown = tuple(map(str, row.ids.tolist()))
            assert shown[len(shown) - len(example.texts) :] == example.texts
            # The window alone counts, but for the model's first token.
            assert row.start == max(len(shown) - len(example.texts), 1)


def test_top_tokens_take_the_shares_of_a_dense_computation(evidence):
    truth = dense(70)
    for index in range(N):
        sums = np.bincount(truth["tokens"], truth["acts"][:, index])
        order = np.argsort(-sums, kind="stable")[:8]
        expected = {str(i): sums[i] / sums.sum() for i in order if sums[i] > 0}
        found = {top.text: top.share for top in evidence.top_tokens(index)}
        assert found == pytest.approx(expected, rel=1e-4)


def test_shares_among_very_many_tokens_are_never_too_large(tmp_path):
    built = build(an_engine(), Lines(70, 280), silent_job(), tmp_path)
    truth = dense(70, 280)
    (folder,) = (f for f in built.folders if "blocks.1" in hook_of(f))
    evidence = OwnEvidence(folder, N, tuple(map(str, range(VOCAB))))
    exact = 0
    for index in range(N):
        sums = np.bincount(truth["tokens"], truth["acts"][:, index], minlength=VOCAB)
        for n, top in enumerate(evidence.top_tokens(index)):
            share = sums[int(top.text)] / sums.sum()
            assert top.share <= share * 1.0001
            exact += n == 0 and top.share == pytest.approx(share, rel=1e-4)
    assert exact > N / 2


def test_the_median_length_of_what_is_read_is_right_to_a_hundredth(evidence):
    lengths = []
    for line in Lines(70).rows():
        with torch.inference_mode():
            ids = torch.from_numpy(line.ids).long()[None]
            x = reference("llama")(ids, output_hidden_states=True).hidden_states[2][0]
        lengths.append(x.norm(dim=-1)[max(line.start, 1) :])
    assert evidence.median_norm == pytest.approx(float(torch.cat(lengths).median()), rel=0.011)


def test_what_is_kept_does_not_depend_on_how_the_text_is_cut():
    """Whole strength bins from a fifth of the maximum up keep as many as they can."""
    rng = np.random.default_rng(0)
    n_tokens, n = 4000, 5
    acts = np.exp(rng.normal(0, 2, (n_tokens, n))).astype(np.float32)
    acts[rng.random(acts.shape) < 0.5] = 0
    kept = []
    for cuts in ([0, n_tokens], [0, 7, 400, 401, 2500, n_tokens]):
        gathered = Gathered(n)
        for begin, end in itertools.pairwise(cuts):
            at, feature = np.nonzero(acts[begin:end])
            gathered.add(
                Block(
                    first=begin,
                    tokens=np.zeros(end - begin, np.int32),
                    row=np.zeros(end - begin, np.int32),
                    document=np.arange(begin, end) // 10,
                    counted=np.ones(end - begin, bool),
                    at=at,
                    feature=feature,
                    value=acts[begin:end][at, feature],
                    norms=np.ones(end - begin, np.float32),
                )
            )
        kept.append(gathered)
    for one, other in itertools.pairwise(kept):
        assert (one.top["position"] == other.top["position"]).all()
        for index in range(n):
            values, largest = one.mid_range()[index]["value"], acts[:, index].max()
            others = other.mid_range()[index]["value"]
            assert set(values[values >= 0.2 * largest]) == set(others[others >= 0.2 * largest])
            for exponent in range(-20, 20):
                low, high = 2 ** (exponent / 2), 2 ** ((exponent + 1) / 2)
                if low >= 0.2 * largest:
                    there = ((acts[:, index] >= low) & (acts[:, index] < high)).sum()
                    assert ((values >= low) & (values < high)).sum() == min(there, 3)


def test_the_demo_pack_on_its_own_corpus_equals_a_plain_computation(
    workbench, demo_model_dir, tmp_path
):
    from transformers import AutoModelForCausalLM

    layer, n_rows = 17, 24
    whole = workbench.engine
    corpus, note = default_corpus(whole.model)
    assert note == ""
    rows = list(itertools.islice(corpus.rows(), n_rows))
    most = sum(len(row.ids) - max(row.start, 1) for row in rows) - 20  # ends with the last of them
    engine = Engine(whole.model, [whole.saes[layer]])
    built = build(engine, corpus, silent_job(), tmp_path, most)

    plain = AutoModelForCausalLM.from_pretrained(demo_model_dir, dtype=torch.float32)
    sae = load_file(paths.demo_pack() / "saes" / f"layer_{layer}.safetensors")
    about = json.loads((paths.demo_pack() / "pack.json").read_text("utf-8"))
    bound = 6 * about["token_mask"]["median_norm"][layer]
    W_enc = torch.from_numpy(sae["W_enc"]).float()  # noqa: N806 - the field's name
    W_enc *= torch.from_numpy(sae["W_enc_scale"])[:, None]  # noqa: N806
    parts, counted = [], 0
    for row in rows:
        with torch.inference_mode():
            ids = torch.from_numpy(row.ids).long()[None]
            x = plain.model(ids, output_hidden_states=True).hidden_states[layer + 1][0]
            h = x @ W_enc.T + torch.from_numpy(sae["b_enc"])
            f = torch.where(h > torch.from_numpy(sae["threshold"]), h, 0.0)
            masked = (x.norm(dim=-1) > bound) | (torch.arange(len(x)) < max(row.start, 1))
            f[masked] = 0
        parts.append(f.numpy())
        counted += int((~masked).sum())
    acts = np.concatenate(parts)
    evidence = OwnEvidence(built.folders[0], acts.shape[1], whole.model.texts)
    assert evidence.n_tokens == counted
    # The model's weights are re-ordered here and not there: a few activations at the threshold
    # fall on the other side.
    fired = (acts > 0).sum(0)
    assert np.abs(evidence.density * counted - fired).max() <= 2
    often = fired > 3
    largest = acts.max(0)[often]
    np.testing.assert_allclose(evidence.max_active[often], largest, rtol=2e-3)
    for index in np.flatnonzero(often)[::50].tolist():
        best = np.sort([part[:, index].max() for part in parts])[::-1][:N_TOP]
        found = [e.value for e in evidence.examples(index) if e.band == "top"]
        np.testing.assert_allclose(found, best[: len(found)], rtol=2e-3, atol=0.01)
        assert (best > 0).sum() == pytest.approx(len(found), abs=1)
        hist, _ = np.histogram(acts[acts[:, index] > 0, index], [0, *BIN_EDGES[1:-1], np.inf])
        assert np.abs(evidence.histogram(index) - hist).sum() <= 4


# ---- interruptions


def contents(out: Path) -> dict[str, bytes]:
    """Every file that a finished run leaves; nothing is left of the run itself."""
    return {
        str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()
    }


def _index_in_a_process(folder: Path, out: Path) -> None:
    model = load_model(folder, "tiny", silent_job(), device="cpu")
    build(an_engine(model), Lines(500), silent_job(), out, seconds_between=0)


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_bytes(tmp_path):
    folder = save_tiny("llama", tmp_path / "model")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers"])
    rng = random.Random(0)

    def start(out: Path) -> multiprocessing.Process:
        process = context.Process(target=_index_in_a_process, args=(folder, out))
        process.start()
        return process

    killed, calm = tmp_path / "killed", tmp_path / "calm"
    saved = []
    for _ in range(4):
        process = start(killed)
        before = last_saved(killed)
        while last_saved(killed) == before:
            assert process.is_alive()
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.06))  # in the middle of reading, gathering or saving
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        saved.append(last_saved(killed))
    assert sorted(set(saved)) == saved
    for out in (killed, calm):
        process = start(out)
        process.join()
        assert process.exitcode == 0
    assert contents(killed) == contents(calm)


def last_saved(out: Path) -> int:
    return max((file.stat().st_mtime_ns for file in out.rglob("state.safetensors")), default=0)


def cancelled_after(n_reports: int) -> Job:
    job = Job(0, Request(), lambda event: told.append(event))
    told: list[Progress] = []
    job.progress = lambda *_: job.cancel() if len(told) >= n_reports else told.append(_)
    return job


def test_a_cancelled_run_goes_on_and_comes_to_the_same_bytes(tmp_path):
    engine = an_engine()
    there, here = tmp_path / "there", tmp_path / "here"
    with pytest.raises(Cancelled):
        build(engine, Lines(70), cancelled_after(10), here, seconds_between=0)
    (run,) = (here / "unfinished").iterdir()
    assert (run / "tokens.i32").stat().st_size > 0
    read = []

    class Watched(Lines):
        def rows(self, document: int = 0) -> Iterator[Row]:
            read.append(document)
            return super().rows(document)

    build(engine, Watched(70), silent_job(), here)
    assert read == [10]  # 32 of its rows, of three to a document, were done
    build(engine, Lines(70), silent_job(), there)
    assert contents(here) == contents(there)


def test_two_programs_do_not_gather_the_same_at_once(tmp_path):
    engine = an_engine()
    with pytest.raises(Cancelled):
        build(engine, Lines(70), cancelled_after(10), tmp_path)
    (run,) = (tmp_path / "unfinished").iterdir()
    assert not (run / "owner").exists()  # who has stopped lets others go on
    owner = run / "owner"
    other = psutil.Process().parent()
    owner.write_text(f"{other.pid} {other.create_time()!r}")
    with pytest.raises(ScopeError, match="Another window or command"):
        build(engine, Lines(70), silent_job(), tmp_path)
    owner.write_text(f"{other.pid} {other.create_time() + 1!r}")  # one that had the same number
    assert build(engine, Lines(70), silent_job(), tmp_path).tokens > 100


def test_a_damaged_checkpoint_begins_anew(tmp_path):
    engine = an_engine()
    there, here = tmp_path / "there", tmp_path / "here"
    with pytest.raises(Cancelled):
        build(engine, Lines(70), cancelled_after(10), here, seconds_between=0)
    (state,) = here.rglob("state.safetensors")
    state.write_bytes(state.read_bytes()[:-100])
    build(engine, Lines(70), silent_job(), here)
    build(engine, Lines(70), silent_job(), there)
    assert contents(here) == contents(there)


def test_the_run_ends_with_the_row_that_reaches_the_number_of_tokens(tmp_path):
    built = build(an_engine(), Lines(70), silent_job(), tmp_path, most_tokens=200)
    lengths = np.cumsum([len(row.ids) - max(row.start, 1) for row in Lines(70).rows()])
    assert built.tokens == lengths[np.searchsorted(lengths, 200)]


def test_progress_says_what_is_left(tmp_path):
    told = []
    job = Job(0, Request(), told.append)
    build(an_engine(), Lines(200), job, tmp_path)
    assert any("left" in event.text for event in told)
    shares = [event.done / event.total for event in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 0.8


# ---- text


def tokens_of(corpus) -> str:
    return tiny("llama").decode([int(i) for row in corpus.rows() for i in row.ids[row.start :]])


def test_all_of_the_text_is_read_and_documents_are_not_mixed(tmp_path):
    texts = [f"{n}: {TEXT} " * (1 + 20 * (n == 2)) for n in range(4)]
    lines = [json.dumps({"text": text, "more": 1}) for text in texts[:3]]
    (tmp_path / "b").mkdir()
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, "", ""]), "utf-8")
    (tmp_path / "b" / "c.txt").write_text(texts[3], "utf-8")
    (tmp_path / "d.csv").write_text("not,this", "utf-8")
    corpus = text_corpus([tmp_path], tiny("llama"), silent_job())
    rows = list(corpus.rows())
    assert tokens_of(corpus) == "".join(texts)
    assert 32 < max(len(row.ids) for row in rows) <= 64  # the model's context
    assert [row.document for row in rows] == sorted(row.document for row in rows)
    for n, text in enumerate(texts):
        own = [i for row in rows if row.document == n for i in row.ids[row.start :]]
        assert "".join(tiny("llama").texts[i] for i in own) == text
    assert rows[-1].share == 1
    later = [row.ids.tolist() for row in corpus.rows(2)]
    assert later == [row.ids.tolist() for row in rows if row.document >= 2]


def test_a_long_text_file_counts_as_several_documents(tmp_path):
    text = "".join(f"line {n}\n" for n in range(3000))
    (tmp_path / "long.md").write_text(text, "utf-8")
    corpus = text_corpus([tmp_path / "long.md"], tiny("llama"), silent_job())
    assert tokens_of(corpus) == text
    assert [row.document for row in corpus.rows()][-1] == len(text) // 8192


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", '{"text": "a"}\n{"no": 1}\n', "Line 2"),
        ("x.jsonl", '{"text": "a"}\n{"tex', "Line 2"),
        ("x.txt", "  \n ", "no text"),
        ("x.pdf", "a", "no text that we know"),
    ],
)
def test_a_corpus_that_cannot_be_read_is_refused(name, content, says, tmp_path):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ScopeError, match=says):
        text_corpus([tmp_path / name], tiny("llama"), silent_job())


def test_a_table_of_texts_is_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts = [f"{n}: {TEXT}" for n in range(5)]
    table = pyarrow.table({"id": list(range(6)), "text": [*texts, None]})
    parquet.write_table(table, tmp_path / "a.parquet")
    corpus = text_corpus([tmp_path], tiny("llama"), silent_job())
    assert tokens_of(corpus) == "".join(texts)
    assert [row.document for row in corpus.rows()][-1] == 4


@pytest.mark.parametrize(
    ("columns", "says"), [({"words": ["a"]}, "no column “text”"), (None, "cannot be read")]
)
def test_a_table_that_cannot_be_read_is_refused(columns, says, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    if columns is None:
        path.write_bytes(b"PAR1 but nothing else PAR1")
    else:
        parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(ScopeError, match=says):
        text_corpus([path], tiny("llama"), silent_job())


def test_a_table_without_the_library_that_reads_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ScopeError, match="not installed") as raised:
        text_corpus([tmp_path], tiny("llama"), silent_job())
    assert "pip install pyarrow" in raised.value.hint


def test_without_a_corpus_a_strange_model_reads_the_little_that_is_built_in():
    corpus, note = default_corpus(tiny("llama"))
    built_in = (paths.resources() / "check_text.txt").read_text("utf-8")
    assert "".join(tokens_of(corpus).split()) == "".join(built_in.split())
    assert "--corpus" in note


# ---- finding it again


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_catalogue_finds_it_for_the_same_sae_with_the_same_model(own_cache):
    engine = an_engine()
    before = Catalogue.open(Workspace(), engine, silent_job())
    assert before.card(FeatureId(1, 3)).examples == ()
    build(engine, Lines(70), silent_job())
    card = Catalogue.open(Workspace(), engine, silent_job()).card(FeatureId(1, 3))
    acts = dense(70)["acts"][:, 3]
    assert card.max_active == pytest.approx(acts.max(), rel=1e-4)
    assert card.density == pytest.approx((acts > 0).sum() / dense(70)["counted"].sum())
    assert card.histogram.sum() == (acts > 0).sum()
    assert card.examples[0].value == card.max_active
    assert card.top_tokens
    other = an_engine(n_features=N + 1)
    assert np.isnan(Catalogue.open(Workspace(), other, silent_job()).opened().max_active[1]).all()


def test_what_was_gathered_is_named_and_found_by_its_words(own_cache):
    engine = an_engine()
    build(engine, Lines(70), silent_job())
    catalogue = Catalogue.open(Workspace(), engine, silent_job())
    labels = [catalogue.label(FeatureId(1, index)) for index in range(N)]
    acts = dense(70)["acts"]
    silent = [not acts[:, index].any() for index in range(N)]
    assert [label.text == "never seen to fire" for label in labels] == silent
    assert all(label.source is Source.AUTOMATIC for label in labels)
    few = [np.count_nonzero(acts[:, index]) < 4 for index in range(N)]
    assert all(label.confidence == "low" for label, rare in zip(labels, few, strict=True) if rare)
    request = RankFeatures(Scope.ALL, None, 0, RankBy.MAXIMUM, (0, 9), "never seen", 1.0)
    found = [row.feature for row in catalogue.rank(request).rows]
    assert {index for slot, index in found if slot == 1} == set(np.flatnonzero(silent))
    (saved, *_) = sorted((own_cache / "labels").iterdir())
    before = saved.stat().st_mtime_ns
    again = Catalogue.open(Workspace(), engine, silent_job())
    assert again.label(FeatureId(1, 3)) == labels[3]
    assert saved.stat().st_mtime_ns == before  # not made again


def test_a_feature_of_one_word_is_named_after_it_whatever_the_size_of_the_text(own_cache):
    """The same names whether the text is read at once or some features at a time."""
    engine = an_engine()
    built = build(engine, Lines(70, 280), silent_job())
    evidence = OwnEvidence(built.folders[0], engine.saes[0].d_sae, tiny("llama").texts)
    (whole,) = OwnTexts(evidence).parts()
    named = Labeller(whole).layer(0)
    for index, label in enumerate(named):
        top = evidence.top_tokens(index)
        if label.kind == "token" and top and top[0].share > 0.9 and top[0].text.strip().isalpha():
            assert top[0].text.strip().lower() in label.text.lower()
    parts = OwnPart(evidence, slice(0, 5))
    assert parts.layer_arrays(0)["example_position"].max() < parts.corpus.tokens.size
    for index in range(5):
        tokens = parts.corpus.tokens.reshape(-1)[parts.layer_arrays(0)["example_position"][index]]
        examples = evidence.examples(index)
        expected = [example.texts[example.peak] for example in examples]
        assert [tiny("llama").texts[i] for i in tokens[: len(examples)]] == expected


def test_the_key_tells_numbers_places_and_models_apart():
    engine = an_engine()
    first = weights(1, d_in=D_MODEL)
    same = weights(1, d_in=D_MODEL, name="another name")
    others = [weights(1, d_in=D_MODEL, seed=1), weights(0, d_in=D_MODEL)]
    others.append(weights(1, d_in=D_MODEL, centred=True))
    info = engine.model.info
    assert evidence_key(first, info) == evidence_key(same, info)
    assert len({evidence_key(w, info) for w in (first, *others)}) == 4
    assert evidence_key(first, info) != evidence_key(first, tiny("qwen2").info)


@pytest.mark.parametrize("damage", ["cut", "gone", "rows"])
def test_damaged_evidence_is_told_and_the_sae_opens_without(damage, own_cache):
    engine = an_engine()
    built = build(engine, Lines(20), silent_job())
    (corpus,) = built.folders[1].glob("corpus-*")
    if damage == "cut":
        (built.folders[1] / FILE).write_bytes((built.folders[1] / FILE).read_bytes()[:-50])
    elif damage == "gone":
        corpus.unlink()
    else:
        arrays = load_file(corpus)
        save_file(arrays | {"row_start": arrays["row_start"] + 1}, corpus)
    opened = Catalogue.open(Workspace(), engine, silent_job()).opened()
    assert np.isnan(opened.max_active[1]).all()
    (note,) = {note for note in opened.notes if str(built.folders[1]) in note}
    assert "damaged" in note
