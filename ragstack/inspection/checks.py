"""The record of one check of the doctor, and how a check that fails becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ragstack.errors import RagstackError


class Status(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it, if there is anything."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def made(name: str, check: Callable[[], Check]) -> Check:
    """The check, or its failure as a finding: whatever breaks it would break ragstack, too."""
    try:
        return check()
    except RagstackError as error:
        return Check(name, Status.PROBLEM, error.message, error.hint or "")
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        return Check(name, Status.PROBLEM, f"{type(error).__name__}: {reason}")
