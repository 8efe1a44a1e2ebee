"""Labels written and judged by a language model: a server on this machine, and the demo model."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch

from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.asking.answering import verdict_value
from desktop_scope.evidence.asking.judging import judge_by_model, known_truth, read_list
from desktop_scope.evidence.asking.labelling import ask_for_label, question_about, read_answer
from desktop_scope.evidence.asking.requests import AskOpenModel, AskServer
from desktop_scope.evidence.asking.speakers import LocalServer, OpenModel
from desktop_scope.evidence.court.docket import STRETCH, Docket
from desktop_scope.evidence.court.words import CourtWords
from desktop_scope.evidence.marks.requests import MarkFeatures
from desktop_scope.evidence.marks.types import Change, Kind, Mark
from desktop_scope.evidence.types import ABLE_JUDGE, Source, Verdict

DOG = FeatureId(17, 3988)


class _Server:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.answer = "Label: dogs and their barking"
        self.status, self.raw = 200, None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({"data": [{"id": "tiny-model"}]})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append(json.loads(body))
                self._send({"choices": [{"message": {"content": outer.answer}}]})

            def _send(self, content: object) -> None:
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", "http://example.com/")
                self.end_headers()
                self.wfile.write(outer.raw or json.dumps(content).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server()
    yield server
    server.close()


@pytest.fixture
def tidy(workbench):
    yield
    catalogue = workbench.catalogue
    while catalogue.marks.undo():
        pass
    catalogue.marked()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "http://192.168.1.5:8080",
        "http://0.0.0.0:8080",
        "https://127.0.0.1",
        "http://127.0.0.1@example.com/",
        "http://user:word@127.0.0.1/",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://localhost",
        "http://127.0.0.1:nonsense",
        "",
        "//",
    ],
)
def test_no_other_host_is_ever_asked(address):
    with pytest.raises(ScopeError, match=r"not a server on this machine|not an address"):
        LocalServer(address, silent_job())


def test_proxies_are_not_used(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert LocalServer(server.address, silent_job()).name == "tiny-model"


def test_localhost_is_this_machine_whatever_the_name_service_says(server):
    address = server.address.replace("127.0.0.1", "localhost")
    assert LocalServer(address, silent_job()).say("hello", 5) == server.answer
    assert server.asked[0]["messages"] == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("status", "raw", "said"),
    [
        (302, None, "answered 302"),
        (500, None, "answered 500"),
        (200, b"{", "not JSON"),
        (200, b"{}", "offers no model"),
        (200, b"[" * 100_000, "not JSON|without end"),
        (200, b" " * (5 << 20), "without end"),
    ],
)
def test_what_a_server_does_wrong_is_told(server, status, raw, said):
    server.status, server.raw = status, raw
    with pytest.raises(ScopeError, match=said):
        LocalServer(server.address, silent_job())


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(ScopeError, match="cannot be reached"):
        LocalServer("http://127.0.0.1:9", silent_job())


def test_a_servers_label_is_kept_as_a_models(workbench, server, tidy):
    asked = workbench.handle(AskServer(DOG, False, 1, server.address), silent_job())
    question = server.asked[-1]["messages"][0]["content"]
    assert "<<" in question
    assert ">>" in question
    assert "likelier" in question
    number = workbench.catalogue.marks.done + 1
    change = Change(number, DOG, *asked.marks[0])
    workbench.handle(MarkFeatures((change,)), silent_job())
    label = workbench.catalogue.label(DOG)
    assert (label.text, label.source) == ("dogs and their barking", Source.MODEL)
    assert label.origin == "tiny-model"


def test_judging_needs_held_out_text(workbench, server, tmp_path, monkeypatch):
    with pytest.raises(ScopeError, match="no held-out text"):
        workbench.handle(AskServer(DOG, True, 1, server.address), silent_job())


def test_the_demo_model_can_be_asked(workbench):
    """It is bad at it: of mountains it speaks of something else. What it says is kept as such."""
    asked = workbench.handle(AskOpenModel(FeatureId(24, 540), False, 1), silent_job())
    kind, key, value = asked.marks[0]
    assert (kind, key) == (Kind.LABEL, Source.MODEL)
    kept = json.loads(value)
    assert kept["text"]
    assert kept["origin"] == "SmolLM2-135M-Instruct"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Label: dogs", "dogs"),
        ('Sure!\nLabel: "Dogs."\nBecause …', "Dogs"),
        ("- **dogs and cats**", "dogs and cats"),
        ("1. dogs", "dogs"),
        ("\n\n", ""),
        ("What do they have in common?", ""),
        ("A: A: A: A: A: A: A:", ""),
        ("x" * 500, "x" * 119 + "…"),
    ],
)
def test_answers_are_read(answer, label):
    assert read_answer(answer) == label


def test_without_examples_nobody_is_asked(workbench):
    card = replace(workbench.catalogue.card(DOG), examples=())
    with pytest.raises(ScopeError, match="no examples"):
        ask_for_label(None, card)
    assert "Text 1:" in question_about(workbench.catalogue.card(DOG))


# ---- judging


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("[1,0,1]", [True, False, True]),
        ("Text 1: 1, so [0, 1]", [False] * 3),
        ("1 0 1", [True, False, True]),
        ("10 1", [False] * 3),
        ("I cannot", [False] * 3),
    ],
)
def test_lists_are_read(answer, said):
    assert read_list(answer, 3) == said


class _Judge:
    """Says yes where a word stands, in fuzzing where it is marked; of a known word where it is."""

    name = "a careful judge"

    def __init__(self, word: str, honest: bool = True) -> None:
        self._word, self._honest = word, honest

    def say(self, question: str, most_tokens: int) -> str:
        texts = [line for line in question.splitlines() if line.startswith("Text ")]
        return str([int(self._is_there(question, text)) for text in texts])

    def odds(self, question: str) -> float | None:
        return None

    def _is_there(self, question: str, text: str) -> bool:
        asked = re.search("the word “(.*)”", question)
        if asked is None:
            return self._word in text
        word = f"<< {asked[1]}>>" if self._word.startswith("<<") else asked[1]
        return self._honest and word in text


class _Leaning(_Judge):
    """Has odds: it leans to yes whatever it is asked, a little more where it is right."""

    name = "a leaning judge"

    def odds(self, question: str) -> float:
        text = question.splitlines()[1]
        return 5.0 + self._is_there(question, text)


_VOCABULARY = ("<|endoftext|>", " the", " dog", " cat", " old", *(f" w{n}" for n in range(9)))


def _planted() -> tuple[CourtWords, Docket]:
    """A feature of dogs; and rare words among other texts, by which a judge can be tried."""
    vocabulary = [*_VOCABULARY, *(f" {word}" for word in _RARE)]
    rows = np.full((4000, 32), 1, np.int32)
    rows[:20, 7], rows[20:40, 9] = 2, 3
    for n in range(len(_RARE)):
        rows[50 + 20 * n : 70 + 20 * n, 11] = len(_VOCABULARY) + n
    fires = (np.arange(20) * 32 + 7).astype(np.int32)[None]
    silent = (np.arange(20, 40) * 32 + 9).astype(np.int32)[None]
    return CourtWords(rows, tuple(vocabulary)), Docket(fires, silent)


_RARE = ("river", "castle", "violin")


@pytest.mark.parametrize("judge", [_Judge, _Leaning])
@pytest.mark.parametrize(("method", "good"), [("detection", "dog"), ("fuzzing", "<< dog>>")])
def test_a_careful_judge_tells_a_good_label_from_a_wrong_one(judge, method, good):
    words, docket = _planted()
    texts = (*_VOCABULARY, *(f" {word}" for word in _RARE))

    def verdict(word: str, honest: bool = True):
        return judge_by_model(judge(word, honest), method, "dogs", words, docket, 0, texts)

    assert verdict(good).score == 1.0
    assert verdict(good.replace("dog", "old")).score == pytest.approx(0.5, abs=0.25)
    assert verdict(good).control == 1.0
    assert verdict(good).able
    weak = verdict(good, honest=False)
    assert weak.control == pytest.approx(0.5, abs=0.31)
    assert weak.able == (weak.control >= ABLE_JUDGE)


def test_the_words_by_which_a_judge_is_tried_stand_where_they_are_said_to():
    words, _ = _planted()
    word, there, elsewhere = known_truth(words, np.random.default_rng(0))
    assert word in _RARE
    assert len(there) == len(elsewhere) == 10
    unit = words.names.index(word)
    stretches = np.flatnonzero(words.unit == unit) // STRETCH
    assert (words.unit[there] == unit).all()
    assert not np.isin(elsewhere // STRETCH, stretches).any()
    short = CourtWords(np.full((3, 32), 1, np.int32), _VOCABULARY)
    assert known_truth(short, np.random.default_rng(0)) is None


def test_the_open_model_has_odds_of_yes_against_no(workbench):
    """Equal to those of every way to write the words, read off a plain pass."""
    engine = workbench.engine
    speaker, question = OpenModel(engine, silent_job()), "Is water wet? Answer yes or no."
    ids = engine.model.encode(Prompt(question, chat=True)).ids
    with torch.inference_mode():
        logits = engine.model.own_logits(torch.tensor(ids)[None])[0, -1].double()
    p = logits.softmax(-1)

    def share(*words: str) -> float:
        return sum(float(p[engine.model.continuation(word)[0]]) for word in words)

    yes, no = share("Yes", " Yes", "yes", " yes"), share("No", " No", "no", " no")
    assert speaker.odds(question) == pytest.approx(math.log(yes / no), abs=1e-3)


def test_a_weak_judge_is_told_of_but_does_not_count(workbench, tidy):
    catalogue = workbench.catalogue
    known = catalogue.evidence[DOG.sae]
    before = known.verdict(DOG.index)
    text, verdict = catalogue.label(DOG).text, Verdict("detection by x", 10, 10, 5, 0, 5, 0)
    for control, counts in ((0.55, False), (None, False), (0.9, True)):
        told = replace(verdict, control=control)
        mark = Mark(
            known.key, DOG.index, Kind.VERDICT, f"{told.judge}\n{text}", verdict_value(told)
        )
        catalogue.marks.change("a verdict", [mark])
        catalogue.marked()
        assert known.verdict(DOG.index) == (told if counts else before)
        assert known.marks(DOG.index).by_models == (told,)
        assert ("too weak" in told.told) == (control == 0.55)
    undone = Mark(known.key, DOG.index, Kind.VERDICT, f"{verdict.judge}\n{text}", None)
    catalogue.marks.change("a verdict", [undone])  # verdicts are not undone
