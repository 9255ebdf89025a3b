"""Reads what a user names as language model: an address, a provider with a model, or a model on this disk.

An address is only taken apart here, nothing is asked. A key is never part of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ragstack.context.keys import KEY_VARIABLE
from ragstack.errors import UsageError

# Where each program listens unless told otherwise, by its own documentation.
_PROVIDERS = {
    "ollama": "http://localhost:11434",
    "llama.cpp": "http://localhost:8080",
    "vllm": "http://localhost:8000",
    "lmstudio": "http://localhost:1234",
    "openai": "https://api.openai.com",
}

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an OpenAI-compatible server without `/v1`, and the model that is asked for there."""

    url: str
    model: str | None = None

    @property
    def host(self) -> str:
        """The host alone."""
        return urlsplit(self.url).hostname or ""

    @property
    def target(self) -> str:
        """The address with the model after `#`, which is how a reader is named."""
        return f"{self.url}#{self.model}" if self.model else self.url

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, which no proxy can reach."""
        return self.host in _LOOPBACK


def endpoint_named(name: str) -> Endpoint | None:
    """The endpoint that `name` names; None when it names a model on this disk.

    `http://host:8080`, `http://host:11434#llama3.2` (a model after `#`), `ollama:llama3.2`,
    `openai:gpt-4o-mini`, `llama.cpp`. Raises UsageError for an address that cannot be one, or that carries a
    password.
    """
    if re.match(r"https?://", name, re.IGNORECASE):
        return _from_address(name)
    provider, _, model = name.partition(":")
    url = _PROVIDERS.get(provider.lower())
    return Endpoint(url, model or None) if url is not None else None


def _from_address(address: str) -> Endpoint:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname:
        raise UsageError(f"`{address}` is no server's address", hint="write it like `http://localhost:11434`")
    if parts.username or parts.password or parts.query:
        raise UsageError(
            "the address of the language model carries a password or a query, which would be written down",
            hint=f"give the key in the environment variable `{KEY_VARIABLE}` and the address without it",
        )
    path = re.sub(r"/v1(?:/chat/completions)?/?$", "", parts.path).rstrip("/")
    return Endpoint(f"{parts.scheme.lower()}://{parts.netloc}{path}", parts.fragment or None)
