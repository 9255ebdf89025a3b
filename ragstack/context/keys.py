"""Decides which API key a server is given, and from which environment variable.

To whom a key may be sent is decided here and nowhere else. Keys come from the environment only, and are
neither stored nor shown; sending them belongs to those who ask a server.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from ragstack.errors import UsageError

KEY_VARIABLE = "RAGSTACK_API_KEY"
"""The key of whatever server the user names."""

OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
"""OpenAI's key as its own programs have it. It never goes to another server, whatever is named."""

# The service and its regions, such as eu.api.openai.com. Nothing but letters, so that no odd address passes.
_OPENAI_HOST = re.compile(r"(?:[a-z]+\.)?api\.openai\.com")


def key_variable(url: str) -> str:
    """The environment variable that holds, or should hold, the key of the server at `url`.

    `RAGSTACK_API_KEY` for every server; where it is not set, `OPENAI_API_KEY` for OpenAI's own.
    """
    if not os.environ.get(KEY_VARIABLE, "").strip() and _is_openai(url):
        return OPENAI_KEY_VARIABLE
    return KEY_VARIABLE


def api_key(url: str) -> str | None:
    """The key that the server at `url` is given; None without one.

    Raises UsageError for a key that no request can carry.
    """
    variable = key_variable(url)
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and (key.isprintable() and " " not in key)):
        raise UsageError(
            f"the key in `{variable}` has blanks, line ends or letters that no key has",
            hint=f"set `{variable}` to the key alone",
        )
    return key or None


def key_hint(url: str) -> str:
    """What to do about a server that refuses access."""
    variable = key_variable(url)
    if os.environ.get(variable, "").strip():
        return f"correct the key in the environment variable `{variable}`: the server does not take it"
    return f"set the environment variable `{variable}` to the server's API key"


def _is_openai(url: str) -> bool:
    """Whether `url` is OpenAI's own, reached so that nobody else can read the key."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or port not in (None, 443):
        return False
    return parts.scheme == "https" and _OPENAI_HOST.fullmatch(parts.hostname or "") is not None
