"""What went wrong between us and a chat server: which failures are worth another try, and how each is told.

Turns status codes and the words of servers into one line and a next step. It neither sends nor waits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstack.answering.generators.addresses import Endpoint
from ragstack.context.keys import key_hint
from ragstack.errors import GenerationError

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0

# Refused for now, not for good. 500 is among them because llama.cpp and vLLM answer it when one request's
# slot failed; 501 and 505 would be refused again.
_PASSING = frozenset({408, 429, 500, 502, 503, 504, 529})

_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an error status: the server's own words, on one line, and when it wants to be asked."""

    status: int
    detail: str
    wait_seconds: float | None = None

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _PASSING and not self.is_too_long and "quota" not in self.detail.lower()

    @property
    def is_too_long(self) -> bool:
        """Whether the server says that the prompt does not fit its window."""
        return bool(_TOO_LONG.search(self.detail))


# llama.cpp; OpenAI, vLLM and LM Studio; Hugging Face's text generation server.
_TOO_LONG = re.compile(
    r"exceeds? the available context|context[_ ]length[_ ]exceeded|maximum context length"
    r"|exceed_context_size|context (?:window|length).{0,40}(?:overflow|exceed)|must be <= .{0,20}tokens",
    re.IGNORECASE,
)


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, secret: str | None) -> Refusal:
    """The refusal in a response; `secret` is blotted out wherever the server repeats it."""
    detail = " ".join(_message(body).split())
    if secret:
        detail = detail.replace(secret, "***")
    return Refusal(status, detail[:_LONGEST_DETAIL], _retry_after(headers.get("retry-after", "")))


def _message(body: bytes) -> str:
    """The message in an error document of any of the usual shapes; of a web page, nothing."""
    text = body.decode(errors="replace")
    value: Any
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "" if "<" in text[:200] else text
    for key in ("error", "detail", "message"):
        if isinstance(value, Mapping) and key in value:
            value = value[key]
    return value if isinstance(value, str) else json.dumps(value)


def _retry_after(value: str) -> float | None:
    """Seconds to wait; the form with a date is treated as not given."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def waiting_time(attempt: int, wanted: float | None, jitter: float) -> float | None:
    """Seconds before try `attempt` + 1 (from 1), None when there should be no other.

    Doubles each time, by up to half longer so that many clients do not come back together (`jitter` in 0
    to 1). What the server asks for counts if it is longer, and ends the trying if it is too long.
    """
    if attempt >= ATTEMPTS or (wanted or 0.0) > LONGEST_WAIT_SECONDS:
        return None
    backoff = FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1) * (1 + jitter / 2)
    return max(backoff, wanted or 0.0)


def refused(endpoint: Endpoint, model: str | None, failure: Refusal) -> GenerationError:
    """The error for a refusal that stays."""
    said = f": {failure.detail}" if failure.detail else ""
    place = f"{endpoint.url} "
    if failure.is_too_long:
        return GenerationError(
            f"{place}takes no prompt of this length{said}",
            hint="give `--window` the tokens that the server has allocated, or a larger window to the server",
        )
    if failure.status in (401, 403):
        return GenerationError(
            f"{place}refused access ({failure.status}){said}",
            hint=key_hint(endpoint.url),
        )
    if failure.status == 404:
        named = f"`{model}`" if model else "one by default"
        return GenerationError(
            f"{place}knows no chat at this address, or no model {named} (404){said}",
            hint="name an installed model after the address, like `--llm 'http://localhost:11434#llama3.2'`",
        )
    if failure.status == 429:
        return GenerationError(
            f"{place}takes no more requests now (429){said}",
            hint="wait and ask again, or look into the limits of your account",
        )
    if failure.status >= 500:
        tries = f" after {ATTEMPTS} tries" if failure.is_passing else ""
        return GenerationError(
            f"{place}failed ({failure.status}){tries}{said}",
            hint="it may be overloaded or still be loading the model: look into its log, and ask again",
        )
    return GenerationError(
        f"{place}refused the request ({failure.status}){said}", hint="look into the server's log"
    )


class NoAnswerError(GenerationError):
    """Nobody answers at the address."""


def unreachable(endpoint: Endpoint, reason: str) -> NoAnswerError:
    """The error for a server that does not answer at all."""
    hint = "start the server, or correct the address given to `--llm`"
    if not endpoint.is_local:
        hint = "check the address given to `--llm`, and the network"
    if endpoint.host == "localhost" and endpoint.url.endswith(":11434"):
        hint = "start Ollama with `ollama serve`, or correct the address given to `--llm`"
    return NoAnswerError(f"no answer from {endpoint.url}: {reason}", hint=hint)


def several_models(endpoint: Endpoint, names: Sequence[str]) -> GenerationError:
    """The error for a server of several models of which none was named."""
    listed = ", ".join(f"`{name}`" for name in names[:8])
    return GenerationError(
        f"{endpoint.url} serves several models: {listed}",
        hint=f"name one after the address: `--llm '{endpoint.url}#{names[0]}'`",
    )


def malformed(endpoint: Endpoint, what: str) -> GenerationError:
    """The error for an answer that is no chat completion."""
    return GenerationError(
        f"{endpoint.url} sent {what}", hint="check that the address is that of an OpenAI-compatible server"
    )


def broken_off(endpoint: Endpoint, reason: str) -> GenerationError:
    """The error for an answer that began and did not end."""
    return GenerationError(
        f"{endpoint.url} broke off the answer: {reason}",
        hint="look into the server's log; it may have crashed or run out of memory",
    )


def too_slow(endpoint: Endpoint, seconds: float, *, begun: bool) -> GenerationError:
    """The error for a server that keeps us waiting."""
    what = "another token" if begun else "the first token"
    return GenerationError(
        f"{endpoint.url} did not write {what} within {seconds:g} s",
        hint="lower `--latency` or `--budget` for a shorter prompt, or choose a faster model",
    )
