"""Says when something changes in the paths that a store is kept in step with; it changes nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ragstack.errors import MissingExtraError, UsageError

_DEBOUNCE_MS = 1_000
"""Changes are collected for as long as they come, at most this long: saving a file makes several."""

_QUIET_MS = 200
_WAKE_MS = 500


def changes(paths: Sequence[Path], *, excluded: Path) -> Iterator[None]:
    """One item at once, and one after each burst of changes beneath `paths`, until Ctrl-C.

    What happens in `excluded`, the store, does not count. Raises MissingExtraError without watchfiles, and
    UsageError when a path does not exist.
    """
    try:
        from watchfiles import watch
    except ImportError as error:
        raise MissingExtraError("watching folders", extra="watch") from error

    missing = [path for path in paths if not path.expanduser().exists()]
    if missing:
        raise UsageError(f"cannot watch `{missing[0]}`: no such file or folder", hint="check the path")
    store = excluded.expanduser().resolve()
    watched = [path.expanduser().resolve() for path in paths]
    is_first = True
    for changed in watch(
        *watched,
        watch_filter=lambda _change, path: not Path(path).is_relative_to(store),
        debounce=_DEBOUNCE_MS,
        step=_QUIET_MS,
        rust_timeout=_WAKE_MS,
        yield_on_timeout=True,  # so that the watch has begun before the first item is asked for
        raise_interrupt=False,
    ):
        if changed or is_first:
            is_first = False
            yield None
