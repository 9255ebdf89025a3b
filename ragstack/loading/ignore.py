"""Decides by name whether an entry of a folder is left out of a walk, and says why.

Three layers, the stronger first: `.ragstackignore` files, `.gitignore` files, and the defaults below. Within
a layer the file nearest to the entry decides, and within a file the last rule that fits, as in git; a folder
that a stronger rule takes back (`!build/`) is taken back whole. Hidden names are left out unless a rule of
`.ragstackignore` takes them back by a name that begins with a dot itself (`!.github/`). Only ignore files at
or below the folder that was named count. Nothing is opened here.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

GIT_RULES = ".gitignore"
OWN_RULES = ".ragstackignore"

# What other programs put beside people's documents: installed packages with thousands of README files, and
# caches; and files that programs wrote for programs.
_DEFAULT_FOLDERS = frozenset({"node_modules", "__pycache__"})
_GENERATED = ("*.min.js", "*.min.css", "package-lock.json")

SECRETS = (
    "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ovpn", "*.gpg", "*.tfstate",
    "*.tfvars", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*", "secrets.*",
    "client_secret*", "service-account*.json",
)  # fmt: skip
"""Names under which keys and passwords are kept; hidden ones (`.env`, `.ssh`) are left out anyway."""

_SECRET = re.compile("|".join(fnmatch.translate(name) for name in SECRETS))
_BY_PROGRAMS = re.compile("|".join(fnmatch.translate(name) for name in _GENERATED))

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
    lines: tuple[str, ...] = ()

    def verdict(self, path: str) -> bool | None:
        """Whether `path` (a folder ends in `/`) is ignored; None when no rule fits."""
        return self.spec.check_file(path[len(self.folder) :]).include

    def takes_back_hidden(self, path: str) -> bool:
        """Whether the rule that fits `path` takes it back by a name that begins with a dot."""
        found = self.spec.check_file(path[len(self.folder) :])
        if found.include is not False or found.index is None:
            return False
        return self.lines[found.index].rstrip("/ ").lstrip("!/").rpartition("/")[2].startswith(".")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in one folder of a walk; in each layer the nearest file comes last."""

    own: tuple[RuleFile, ...] = ()
    git: tuple[RuleFile, ...] = ()

    def reason(self, path: str) -> str | None:
        """Why the entry at `path` (within the root, a folder with `/` at its end) is left out, or None."""
        name = path.rstrip("/").rpartition("/")[2]
        if name.startswith(".") and not self._take_back_hidden(path):
            return "hidden"
        for layer in (self.own, self.git):
            for rules in reversed(layer):
                verdict = rules.verdict(path)
                if verdict:
                    return f"ignored by {rules.folder}{rules.name}"
                if verdict is False:  # a cloned repository's `.gitignore` does not hand out secrets
                    return _secret_reason(name, path) if layer is self.git else None
        return _default_reason(name, path)

    def _take_back_hidden(self, path: str) -> bool:
        return any(rules.takes_back_hidden(path) for rules in reversed(self.own))

    def beneath(self, rules: RuleFile) -> IgnoreRules:
        """These rules, and those of an ignore file further down."""
        if rules.name == GIT_RULES:
            return IgnoreRules(self.own, (*self.git, rules))
        return IgnoreRules((*self.own, rules), self.git)


def _default_reason(name: str, path: str) -> str | None:
    if path.endswith("/"):
        return f"{name} folders are left out" if name in _DEFAULT_FOLDERS else None
    by_programs = "written by a program for programs" if _BY_PROGRAMS.match(name.lower()) else None
    return _secret_reason(name, path) or by_programs


def _secret_reason(name: str, path: str) -> str | None:
    return "may hold a secret" if _SECRET.match(name.lower()) and not path.endswith("/") else None


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
    return RuleFile(folder, name, GitIgnoreSpec.from_lines(good), tuple(good)), complaints


def _is_rule(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    if any(len(_STARS.findall(segment)) > _MAX_STARS for segment in line.split("/")):
        return False
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
