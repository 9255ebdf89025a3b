"""Times two prompts on a live server, so that the time to its first token need not be computed.

It sends words that mean nothing and asks for one token. Only `latency` knows what follows from the seconds.
"""

from __future__ import annotations

import random
import time

from ragstack.context.architectures.servers import ModelServer
from ragstack.context.latency import TimedPrompt
from ragstack.errors import ArchitectureError

SHORT_PROMPT, LONG_PROMPT = 512, 2_048
"""Tokens of the two prompts, as far as the window allows: long enough that a request's own cost is small."""

ATTEMPTS = 4
TIMEOUT_SECONDS = 300.0
_FIRST_WORDS = 16
_WORDS = "apple river stone cloud table green seven window paper light mother garden winter number".split()


def time_prompts(
    url: str, model: str, *, window: int | None = None, key: str | None = None
) -> tuple[TimedPrompt, TimedPrompt]:
    """The first token's seconds after a short and after a long prompt, of `model` on the server at `url`.

    A request before them lets the server load the model. The words are drawn anew each time, so that no
    prefix is cached. Where the longer came back no later than the shorter, something held the shorter up:
    both are timed again, at most `ATTEMPTS` times, and the quickest of each counts. Raises
    ArchitectureError when the server completes nothing or counts no tokens.
    """
    server = ModelServer(url, key=key, timeout=TIMEOUT_SECONDS)
    most = (window or LONG_PROMPT * 2) // 2
    tokens_a_word = _timed(server, model, _FIRST_WORDS).tokens / _FIRST_WORDS
    lengths = (min(SHORT_PROMPT, most // 4), min(LONG_PROMPT, most))
    words = [int(length / tokens_a_word) for length in lengths]
    quickest = [_timed(server, model, count) for count in words]
    for _ in range(ATTEMPTS - 1):
        if quickest[0].seconds < quickest[1].seconds:
            break
        again = [_timed(server, model, count) for count in words]
        quickest = [min(pair, key=lambda timed: timed.seconds) for pair in zip(quickest, again, strict=True)]
    return quickest[0], quickest[1]


def _timed(server: ModelServer, model: str, words: int) -> TimedPrompt:
    drawn = random.Random().choices(_WORDS, k=max(1, words))  # noqa: S311  no secret, only never the same
    request = {
        "model": model,
        "prompt": " ".join(drawn),
        "max_tokens": 1,
        "temperature": 0,
        "cache_prompt": False,
    }
    start = time.perf_counter()
    reply = server.ask("/v1/completions", request) or {}
    seconds = time.perf_counter() - start
    usage = reply.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(tokens, int) or tokens < 1:
        raise ArchitectureError(
            f"{server.url} completed no prompt whose tokens it counted, so it cannot be timed",
            hint="leave `--measure` out, or name the GPU that it runs on with `--gpu`",
        )
    return TimedPrompt(tokens, seconds)
