"""Decides by name whether an entry of a folder is left out of a walk, and says why.

Three layers, the stronger first: `.ragstackignore` files, `.gitignore` files, and the defaults below. Within
a layer the file nearest to the entry decides, and within a file the last rule that fits, as in git; a folder
that a stronger rule takes back (`!build/`) is taken back whole. Hidden names are always left out. Only ignore
files at or below the folder that was named count. Nothing is opened here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

GIT_RULES = ".gitignore"
OWN_RULES = ".ragstackignore"

# What other programs put beside people's documents: installed packages with thousands of README files, and
# caches. This is the place for further names that are left out unasked, such as those of keys and secrets.
_DEFAULT_FOLDERS = frozenset({"node_modules", "__pycache__"})

# A pattern with k stars takes time in the order of length^k on a name that nearly fits, and whoever wrote the
# ignore file may have meant it to.
_MAX_STARS = 4
_STARS = re.compile(r"\*+")


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The rules of one ignore file, and the folder it stands in (`notes/`, or nothing for the root)."""

    folder: str
    name: str
    spec: GitIgnoreSpec

    def verdict(self, path: str) -> bool | None:
        """Whether `path` (a folder ends in `/`) is ignored; None when no rule fits."""
        return self.spec.check_file(path[len(self.folder) :]).include


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in one folder of a walk; in each layer the nearest file comes last."""

    own: tuple[RuleFile, ...] = ()
    git: tuple[RuleFile, ...] = ()

    def reason(self, path: str) -> str | None:
        """Why the entry at `path` (within the root, a folder with `/` at its end) is left out, or None."""
        name = path.rstrip("/").rpartition("/")[2]
        if name.startswith("."):
            return "hidden"
        for layer in (self.own, self.git):
            for rules in reversed(layer):
                verdict = rules.verdict(path)
                if verdict is not None:
                    return f"ignored by {rules.folder}{rules.name}" if verdict else None
        if path.endswith("/") and name in _DEFAULT_FOLDERS:
            return f"{name} folders are left out"
        return None

    def beneath(self, rules: RuleFile) -> IgnoreRules:
        """These rules, and those of an ignore file further down."""
        if rules.name == GIT_RULES:
            return IgnoreRules(self.own, (*self.git, rules))
        return IgnoreRules((*self.own, rules), self.git)


def parse_rules(folder: str, name: str, content: str) -> tuple[RuleFile, list[str]]:
    """The rules of an ignore file, and one complaint for each line that is no rule."""
    from pathspec import GitIgnoreSpec

    good = []
    complaints = []
    for number, line in enumerate(content.splitlines(), start=1):
        if _is_rule(line):
            good.append(line)
        else:
            complaints.append(f"line {number} is not a rule that can be used: {line[:80]}")
    return RuleFile(folder, name, GitIgnoreSpec.from_lines(good)), complaints


def _is_rule(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    if any(len(_STARS.findall(segment)) > _MAX_STARS for segment in line.split("/")):
        return False
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
