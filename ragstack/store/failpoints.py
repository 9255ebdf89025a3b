"""Named steps of every change to a store, at which a test may kill the process or raise an error.

The fault campaign (`scripts/faults`) learns the names by running through them. Nothing is armed unless a test
arms it in its own process, so that a step costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable

_callback: Callable[[str], None] | None = None


def reached(step: str) -> None:
    """Called at a step of a change, named by what was just done."""
    if _callback is not None:
        _callback(step)


def arm(callback: Callable[[str], None] | None) -> None:
    """Have `callback` told of every step that is reached in this process from now on (None: nobody)."""
    global _callback
    _callback = callback
