"""What a user allows a prompt, before anything is known of who will read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """What a user allows a prompt; None is no wish. Tokens, `8GB`, `5s`."""

    window: int | None = None
    reserve: int | None = None
    budget: int | None = None
    memory: str | None = None
    latency: str | float | None = None
    effective: bool = False
