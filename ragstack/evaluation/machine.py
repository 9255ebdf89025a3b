"""The machine and the software that a measurement was taken on, to be printed beside every number."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "ragstack", "faiss-cpu", "numpy", "openvino", "sentence-transformers", "sqlalchemy", "tokenizers",
    "torch",
)  # fmt: skip
"""What speed and scores depend on."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something was measured. `memory` is in bytes; `commit` is None outside a git checkout."""

    processor: str
    cores: int
    memory: int
    system: str
    python: str
    packages: dict[str, str]
    commit: str | None


def describe_machine(packages: Sequence[str] = PACKAGES) -> Machine:
    """The machine, the interpreter, and the versions of those `packages` that are installed."""
    memory = import_module("psutil").virtual_memory()  # by name: it ships no types to check against
    return Machine(
        processor=_processor(),
        cores=_usable_cores(),
        memory=memory.total,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: found for name in packages if (found := _version(name)) is not None},
        commit=_commit(Path(__file__).parent),
    )


def _processor() -> str:
    """The model's name: `/proc/cpuinfo` has it on Linux, where `platform` knows only the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Cores that this process may run on, which a container may have fewer of than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(directory: Path) -> str | None:
    """The short commit of a checkout, with `+` when files differ from it."""
    described = _git(directory, "describe", "--always", "--exclude=*", "--dirty=+")
    return described.strip() or None if described is not None else None


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
