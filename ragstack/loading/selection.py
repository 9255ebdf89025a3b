"""Which files of the folders that are named one run of an ingest reads, beyond what ignore rules leave out.

A file that only a selection leaves out is not looked at and not forgotten either: what the store holds of it
stays, because nothing is known of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ragstack.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@dataclass(frozen=True)
class Selection:
    """Globs as in `.gitignore` over paths within the folder that is named: `*.pdf`, `drafts/`, `a/**/b.md`.

    With `include`, only files that fit one of them are read; files that fit one of `exclude` are not. A file
    with several names (hard links) is refused unless `hard_links`.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hard_links: bool = True

    def reason(self, path: str) -> str | None:
        """Why the run does not look at `path` (a folder ends in `/`), or None."""
        if self.exclude and self._excluded.match_file(path):
            return "left out by `--exclude`"
        if self.include and not path.endswith("/") and not self._included.match_file(path):
            return "not named by `--include`"
        return None

    @cached_property
    def _included(self) -> GitIgnoreSpec:
        return _parsed("--include", self.include)

    @cached_property
    def _excluded(self) -> GitIgnoreSpec:
        return _parsed("--exclude", self.exclude)


def _parsed(option: str, globs: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(globs)
    except ValueError as error:
        raise UsageError(f"`{option}` is given a glob that cannot be used: {', '.join(globs)}") from error


EVERYTHING = Selection()
