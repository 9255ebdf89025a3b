"""Checks that an embedder can honour chunker settings. Where their values come from is `config`'s concern."""

from __future__ import annotations

from ragstack.config import largest_overlap, overlap_hint
from ragstack.errors import UsageError
from ragstack.records import ChunkerSettings

SMALLEST_SIZE = 16
"""Tokens; a smaller window holds no sentence."""

SMALLEST_ROOM = 32
"""Tokens that an embedder must leave for a text, so that any character fits beside a context."""

SMALLEST_CHARACTERS = 64


def check_settings(settings: ChunkerSettings, *, max_tokens: int, overhead: int) -> None:
    """Raises UsageError, with what to do as its hint, if documents cannot be cut with these settings."""
    _check_sizes(settings)
    if max_tokens - overhead < SMALLEST_ROOM:
        raise UsageError(
            f"the embedder reads {max_tokens} tokens and its prompt takes {overhead} of them",
            hint=f"shorten the document prompt so that {SMALLEST_ROOM} tokens are left for text",
        )
    if settings.size > max_tokens:
        raise UsageError(
            f"the chunk size is {settings.size} tokens but the embedder reads only {max_tokens}",
            hint=f"choose a chunk size of at most {max_tokens}",
        )


def _check_sizes(settings: ChunkerSettings) -> None:
    if settings.size < SMALLEST_SIZE:
        raise UsageError(
            f"the chunk size is {settings.size} tokens", hint=f"choose at least {SMALLEST_SIZE} tokens"
        )
    if not 0 <= settings.overlap <= largest_overlap(settings.size):
        raise UsageError(
            f"the overlap is {settings.overlap} tokens and the chunk size {settings.size}",
            hint=overlap_hint(settings.size),
        )
    if settings.max_characters < SMALLEST_CHARACTERS:
        raise UsageError(
            f"chunks of at most {settings.max_characters} characters hold no sentence",
            hint=f"choose at least {SMALLEST_CHARACTERS} characters",
        )
    if settings.max_context_tokens < 0:
        raise UsageError(
            f"the context is limited to {settings.max_context_tokens} tokens",
            hint="choose 0 for no context, or a positive number",
        )
