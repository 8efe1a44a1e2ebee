"""Whoever can be asked: the open model, or a server on this machine that the user named.

The server is the one thing that Desktop Scope ever connects to, only at the user's word, and only
at this machine's own address: no other host, no redirect, no proxy.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import torch

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.requests import Generate
from desktop_scope.engine.types import Prompt, Sampling
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_THIS_MACHINE = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_MOST_BYTES = 4 << 20
_PATIENCE_S = 120
_HINT = "Name one on this machine, such as http://127.0.0.1:8080."


class Speaker(Protocol):
    """A language model that answers."""

    @property
    def name(self) -> str:
        """What people call it."""

    def say(self, question: str, most_tokens: int) -> str:
        """Its answer, the likeliest one.

        Raises:
            ScopeError: It cannot be asked.
            Cancelled: The job was.
        """

    def odds(self, question: str) -> float | None:
        """Log-odds of yes against no as its next word; None of one that can only talk.

        Raises:
            Cancelled: The job was.
        """


@dataclass(frozen=True)
class OpenModel:
    """The model that is open. A small one labels badly."""

    engine: Engine
    job: Job

    @property
    def name(self) -> str:
        """Its id, without the owner."""
        return self.engine.model.info.id.rpartition("/")[2]

    def say(self, question: str, most_tokens: int) -> str:
        """Its answer, greedily chosen."""
        sampling = Sampling(max_new_tokens=most_tokens, temperature=0.0)
        request = Generate(Prompt(question, chat=True), ((),), sampling)
        return self.engine.generate(request, self.job)[0].text

    def odds(self, question: str) -> float:
        """Log-odds of yes against no, however they are written."""
        self.job.check()
        model = self.engine.model
        ids = model.encode(Prompt(question, chat=model.info.has_chat)).ids
        with torch.inference_mode():
            hidden = model.hidden(torch.tensor([ids], device=model.device), {}, use_cache=False)
            logits = model.logits(hidden[0, -1:])[0].float()
        yes, no = (
            logits[[model.continuation(word)[0] for word in words]].logsumexp(0)
            for words in ((" Yes", "Yes", " yes", "yes"), (" No", "No", " no", "no"))
        )
        return float(yes - no)


class LocalServer:
    """An OpenAI-compatible server on this machine (llama.cpp, Ollama, LM Studio, vLLM …).

    Args:
        address: ``http://127.0.0.1:8080`` or with a path before ``/chat/completions``.
        job: Asked before each question whether to stop.

    Raises:
        ScopeError: It is not this machine's address.
    """

    def __init__(self, address: str, job: Job) -> None:
        try:
            parts = urlsplit(address if "//" in address else f"http://{address}")
            port = parts.port or 80
        except ValueError:
            raise ScopeError(f"“{address}” is not an address.", _HINT) from None
        host = _THIS_MACHINE.get(parts.hostname or "")
        if parts.scheme != "http" or host is None or parts.username or parts.password:
            raise ScopeError(
                f"“{address}” is not a server on this machine: no other is ever asked.", _HINT
            )
        self._host, self._port, self._job = host, port, job
        self._path = parts.path.rstrip("/") or "/v1"
        self._model = self._first_model()

    @property
    def name(self) -> str:
        """The first model that it offers."""
        return self._model

    def say(self, question: str, most_tokens: int) -> str:
        """Its answer, at temperature 0."""
        answer = self._ask(
            "POST",
            "/chat/completions",
            {
                "model": self._model,
                "messages": [{"role": "user", "content": question}],
                "max_tokens": most_tokens,
                "temperature": 0,
                "stream": False,
            },
        )
        try:
            return str(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise self._trouble("gave no answer") from None

    def odds(self, question: str) -> None:
        """It is asked in words."""

    def _first_model(self) -> str:
        try:
            return str(self._ask("GET", "/models")["data"][0]["id"])[:100]
        except (KeyError, IndexError, TypeError):
            raise self._trouble("offers no model") from None

    def _ask(self, method: str, path: str, content: object = None) -> Any:
        self._job.check()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE_S)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(
                method, self._path + path, body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:  # a redirect is one of these, too
                raise self._trouble(f"answered {response.status} {response.reason}")
            text = response.read(_MOST_BYTES + 1)
            if len(text) > _MOST_BYTES:
                raise self._trouble("answered without end")
            return json.loads(text)
        except (OSError, http.client.HTTPException) as error:
            raise self._trouble(f"cannot be reached: {error}") from error
        except (ValueError, RecursionError) as error:
            raise self._trouble("answered something that is not JSON") from error
        finally:
            connection.close()

    def _trouble(self, what: str) -> ScopeError:
        return ScopeError(
            f"The server at {self._host}:{self._port} {what}.", "Start it, or check its port."
        )
