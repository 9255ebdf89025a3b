"""A language model behind an OpenAI-compatible address: Ollama, llama.cpp, vLLM, LM Studio, OpenAI.

Sends a chat and yields the answer as it is written; counts a prompt where the server can. What the model's
window is and what goes into the prompt is found out elsewhere. Nothing is sent to any address but the one
that was named: redirects are not followed, and a model on this machine is never asked through a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ragstack.answering.generators import failures
from ragstack.answering.generators.addresses import Endpoint
from ragstack.answering.generators.replies import Pace, Reply, words_of
from ragstack.context.keys import api_key
from ragstack.errors import GenerationError
from ragstack.records import GeneratorDescription, Message, Piece

if TYPE_CHECKING:
    import httpx2

_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 30.0

# Parameters that some models refuse, and what takes their place. OpenAI's reasoning models take
# `max_completion_tokens` and no temperature; older servers know no `stream_options`.
_RENAMED = {"max_tokens": "max_completion_tokens", "temperature": None, "stream_options": None}

_LARGEST_ERROR = 2**16


class EndpointGenerator:
    """One model at one endpoint. A context manager; `key` defaults to that of the environment."""

    def __init__(self, endpoint: Endpoint, *, key: str | None = None, pace: Pace | None = None) -> None:
        self.endpoint = endpoint
        self._key = key if key is not None else api_key(endpoint.url)
        self._pace = pace or Pace()

    def __enter__(self) -> EndpointGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EndpointGenerator({self.endpoint.target!r})"

    def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            self._client.close()
            del self.__dict__["_client"]

    @property
    def description(self) -> GeneratorDescription:
        """The address and the model's name, if it was given or has been asked for already."""
        model = self.endpoint.model or self.__dict__.get("_model") or ""
        return GeneratorDescription(self.endpoint.target, model, self.endpoint.url)

    @property
    def peak_memory(self) -> None:
        """The server's memory is its own business."""
        return None

    def prepare(self) -> None:
        """See that the server answers, and with which model; Ollama is made to load it.

        Ollama allocates a window only then.
        """
        try:
            version = self._asked("GET", "/api/version", None, _PROBE_SECONDS)
        except failures.NoAnswerError:
            raise
        except GenerationError:
            version = {}  # somebody is there who is not Ollama
        if "version" in version and self.endpoint.model:
            body = {"model": self.endpoint.model, "stream": False}
            self._asked("POST", "/api/generate", body, self._pace.patience)
        _ = self._model

    # ---------------------------------------------------------------------- counting

    def count_prompt(self, messages: Sequence[Message]) -> int | None:
        """Tokens of the templated prompt by llama.cpp's or vLLM's own tokenizer; None elsewhere."""
        return None if self._prompt_counter is None else self._prompt_counter(messages)

    @cached_property
    def _prompt_counter(self) -> Callable[[Sequence[Message]], int] | None:
        """The way to count that this server knows; asked with a word, so that no document goes astray."""
        for count in (self._llama_cpp_tokens, self._vllm_tokens):
            try:
                count((Message("user", "one"),))
            except (GenerationError, KeyError, TypeError):
                continue
            return count
        return None

    def _llama_cpp_tokens(self, messages: Sequence[Message]) -> int:
        """A start of text that both the template and the tokenizer write counts twice: rather too many."""
        prompt = self._post("/apply-template", {"messages": as_json(messages)})["prompt"]
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return len(self._post("/tokenize", body)["tokens"])

    def _vllm_tokens(self, messages: Sequence[Message]) -> int:
        body = {"model": self._model, "messages": as_json(messages), "add_generation_prompt": True}
        return int(self._post("/tokenize", body)["count"])

    @cached_property
    def _model(self) -> str | None:
        """The model's name in requests: as named by the user, else the only one that is served."""
        if self.endpoint.model:
            return self.endpoint.model
        try:
            listed = self._asked("GET", "/v1/models", None, _PROBE_SECONDS).get("data")
        except GenerationError:
            return None
        ids = [str(each["id"]) for each in listed or () if isinstance(each, Mapping) and each.get("id")]
        if len(ids) > 1:
            raise failures.several_models(self.endpoint, ids)
        return ids[0] if ids else None

    # -------------------------------------------------------------------- generation

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> Generator[Piece, None, None]:
        """The answer as it is written; closing the iterator closes the connection, which stops the model."""
        body: dict[str, Any] = {
            "messages": as_json(messages),
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._model:
            body["model"] = self._model
        with self._response(body) as response:
            yield from Reply(self.endpoint, response, self._pace).pieces()

    @contextmanager
    def _response(self, body: dict[str, Any]) -> Iterator[httpx2.Response]:
        """A response that carries an answer; the connection is closed at the end, whatever happens."""
        response = self._opened(body)
        try:
            yield response
        finally:
            response.close()

    def _opened(self, body: dict[str, Any]) -> httpx2.Response:
        """A response with status 200, after as many tries as it takes.

        Nothing is tried again once an answer has begun: the model might have been paid for it.
        """
        attempt = 1
        while True:
            response, reason = self._sent(body)
            if response is not None and response.status_code == 200:
                return response
            failure = self._refusal(response) if response is not None else None
            if failure is not None and self._adapted(body, failure):
                continue
            may_pass = failure is None or failure.is_passing
            if not may_pass or not self._wait(attempt, failure.wait_seconds if failure else None):
                if failure is None:
                    raise failures.unreachable(self.endpoint, reason)
                raise failures.refused(self.endpoint, self._model, failure)
            attempt += 1

    def _sent(self, body: Mapping[str, Any]) -> tuple[httpx2.Response | None, str]:
        """The response, or None and the reason when no connection could be made."""
        import httpx2

        url = f"{self.endpoint.url}/v1/chat/completions"
        try:
            return self._client.send(self._client.build_request("POST", url, json=body), stream=True), ""
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            return None, words_of(error)
        except httpx2.TimeoutException as error:
            raise failures.too_slow(self.endpoint, self._pace.patience, begun=False) from error
        except httpx2.RequestError as error:
            raise failures.broken_off(self.endpoint, words_of(error)) from error

    def _refusal(self, response: httpx2.Response) -> failures.Refusal:
        import httpx2

        body = b""
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _LARGEST_ERROR:
                    break
        except httpx2.RequestError:
            body = b""  # the status says enough without the words
        finally:
            response.close()
        return failures.refusal(response.status_code, response.headers, body, secret=self._key)

    def _adapted(self, body: dict[str, Any], failure: failures.Refusal) -> bool:
        """Whether the request was changed because the server does not know one of its parameters."""
        if failure.status not in (400, 422) or failure.is_too_long:
            return False
        for name, instead in _RENAMED.items():
            if name in body and name in failure.detail:
                value = body.pop(name)
                if instead is not None:
                    body[instead] = value
                return True
        return False

    def _wait(self, attempt: int, wanted: float | None) -> bool:
        """Wait before another try; False when there should be none."""
        seconds = failures.waiting_time(attempt, wanted, self._pace.jitter())
        if seconds is None:
            return False
        self._pace.sleep(seconds)
        return True

    # ---------------------------------------------------------------------- requests

    @cached_property
    def _client(self) -> httpx2.Client:
        import httpx2

        headers = {"Accept": "text/event-stream, application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(self._pace.patience, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=not self.endpoint.is_local,
        )

    def _post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._asked("POST", path, body, _PROBE_SECONDS)

    def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> Mapping[str, Any]:
        """The JSON object that the server answers a single request with."""
        import httpx2

        try:
            reply = self._client.request(method, self.endpoint.url + path, json=body, timeout=seconds)
        except httpx2.RequestError as error:
            raise failures.unreachable(self.endpoint, words_of(error)) from error
        if reply.status_code != 200:
            failure = failures.refusal(reply.status_code, reply.headers, reply.content, secret=self._key)
            raise failures.refused(self.endpoint, self.endpoint.model, failure)
        try:
            value = reply.json()
        except ValueError as error:
            raise failures.malformed(self.endpoint, f"no JSON at `{path}`") from error
        if not isinstance(value, Mapping):
            raise failures.malformed(self.endpoint, f"no object at `{path}`")
        return value


def as_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as chat servers take them."""
    return [{"role": message.role, "content": message.content} for message in messages]
