"""Reads one response of a chat server into pieces of text, and knows how the answer ended.

The response is open already; asking, and asking again, belong to `endpoint`.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragstack.answering.generators import failures
from ragstack.answering.generators.addresses import Endpoint
from ragstack.answering.generators.server_events import event_data
from ragstack.records import Piece

if TYPE_CHECKING:
    import httpx2

PATIENCE_SECONDS = 300.0
"""Without a token for so long an answer is given up: a processor may need minutes to read a long prompt."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, and the clock to wait by, which tests set."""

    patience: float = PATIENCE_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


class Reply:
    """Reads one response into pieces."""

    def __init__(self, endpoint: Endpoint, response: httpx2.Response, pace: Pace) -> None:
        self.endpoint = endpoint
        self.response = response
        self.pace = pace
        self.reason: str | None = None
        self.usage: Mapping[str, Any] = {}
        self.has_begun = False

    def pieces(self) -> Iterator[Piece]:
        """The text as it comes, then one piece without text that says how it ended."""
        import httpx2

        if "json" in self.response.headers.get("content-type", ""):
            yield from self._whole()
            return
        try:
            yield from self._events()
        except httpx2.TimeoutException as error:
            raise failures.too_slow(self.endpoint, self.pace.patience, begun=self.has_begun) from error
        except httpx2.RequestError as error:
            raise failures.broken_off(self.endpoint, words_of(error)) from error
        if self.reason is None:
            raise failures.broken_off(self.endpoint, "the connection ended without an end of the answer")
        yield self._ending()

    def _whole(self) -> Iterator[Piece]:
        """The answer of a server that does not stream."""
        import httpx2

        try:
            value = json.loads(self.response.read())
        except (ValueError, RecursionError) as error:
            raise failures.malformed(self.endpoint, "an answer that is not JSON") from error
        except httpx2.TimeoutException as error:
            raise failures.too_slow(self.endpoint, self.pace.patience, begun=False) from error
        except httpx2.RequestError as error:
            raise failures.broken_off(self.endpoint, words_of(error)) from error
        text = self._text_of(value, "message")
        self.reason = self.reason or "stop"
        if text:
            yield Piece(text)
        yield self._ending()

    def _events(self) -> Iterator[Piece]:
        waiting_since = self.pace.clock()
        for data in event_data(self.response.iter_bytes()):
            if data == "[DONE]":
                self.reason = self.reason or "stop"
                return
            if data is not None:
                text, thinks = self._read(data)
                if text or thinks:
                    waiting_since = self.pace.clock()
                if text:
                    self.has_begun = True
                    yield Piece(text)
            if self.pace.clock() - waiting_since > self.pace.patience:
                raise failures.too_slow(self.endpoint, self.pace.patience, begun=self.has_begun)

    def _read(self, data: str) -> tuple[str, bool]:
        """The text of one event, and whether the model writes thoughts that are not for us."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise failures.malformed(self.endpoint, f"an event that is not JSON: {data[:80]!r}") from error
        text = self._text_of(value, "delta")
        return text, '"reasoning' in data

    def _text_of(self, value: Any, part: str) -> str:
        """The text in a chunk or a whole answer; keeps what it says of the end and of tokens."""
        if not isinstance(value, Mapping):
            raise failures.malformed(self.endpoint, "an answer that is no JSON object")
        if value.get("error"):
            failure = failures.refusal(500, {}, json.dumps(value).encode(), secret=None)
            raise failures.broken_off(self.endpoint, failure.detail)
        if isinstance(value.get("usage"), Mapping):
            self.usage = value["usage"]
        choices = value.get("choices")
        if not isinstance(choices, Sequence):
            raise failures.malformed(self.endpoint, "an answer without choices")
        if not choices or not isinstance(choices[0], Mapping):
            return ""
        reason, written = choices[0].get("finish_reason"), choices[0].get(part)
        self.reason = reason if isinstance(reason, str) and reason else self.reason
        content = written.get("content") if isinstance(written, Mapping) else None
        return content if isinstance(content, str) else ""

    def _ending(self) -> Piece:
        return Piece(
            "",
            finish_reason=self.reason,
            prompt_tokens=_whole_number(self.usage.get("prompt_tokens")),
            answer_tokens=_whole_number(self.usage.get("completion_tokens")),
        )


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def words_of(error: Exception) -> str:
    """What an error says, or what it is."""
    return str(error) or type(error).__name__
