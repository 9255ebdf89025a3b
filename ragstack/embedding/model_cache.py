"""Keeps compiled models in the user's cache directory, one file each, whole or not at all.

A file is a header of one line, padded to `HEADER_BYTES`, and the compiled model. The header names what it was
made of and for and the sha256 of the rest, which is checked at every load. The check finds damage, not
forgery: whoever can write to the user's cache directory can write a matching hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragstack.errors import ModelDamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER_BYTES = 4_096
_FORMAT = 1

# Of one model, for other processors (a home may be shared by several machines) and versions: 100 MB each.
_KEPT_FORMS = 3


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A compiled model. `data` (uint8) is empty where `refusal` says why there is none to be had.

    `precision` is what it computes in, `cosine` the lowest to the original's vectors that its check found.
    """

    precision: str
    cosine: float
    data: NDArray[np.uint8]
    refusal: str = ""


def cache_folder() -> Path:
    """Where compiled models are kept."""
    import platformdirs

    return platformdirs.user_cache_path("ragstack", appauthor=False) / "models"


def cache_path(fingerprint: str, compiled_for: str) -> Path:
    """Where the compiled form of the model with this key is, for this processor and version."""
    return cache_folder() / f"{fingerprint[:24]}-{compiled_for}.compiled"


def read_cached(path: Path) -> CachedModel | None:
    """What was written to `path`, None if nothing was; ModelDamagedError if it is not that any more.

    The data is mapped, not copied, which takes no memory of its own and half the time. That is safe, because
    a file is only ever replaced by another of its name, never changed.
    """
    try:
        content = np.memmap(path, dtype=np.uint8, mode="c").view(np.ndarray)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelDamagedError(f"it cannot be read: {error.strerror}") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise ModelDamagedError("it is empty") from error
    data = content[HEADER_BYTES:]
    try:
        header = json.loads(content[:HEADER_BYTES].tobytes())
        if header["format"] != _FORMAT or header["sha256"] != hashlib.sha256(data.data).hexdigest():
            raise ModelDamagedError("its sha256 is not the one that was written")
        return CachedModel(str(header["precision"]), float(header["cosine"]), data, str(header["refusal"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDamagedError("it has no readable header") from error


def write_cached(path: Path, model: CachedModel) -> None:
    """Put `model` at `path` durably, in place of what is there; raises OSError."""
    facts = asdict(model) | {"format": _FORMAT, "sha256": hashlib.sha256(model.data.data).hexdigest()}
    del facts["data"]
    header = json.dumps(facts).encode().ljust(HEADER_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines((header, model.data.data))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    _remove_others(path)


def _sync_directory(folder: Path) -> None:
    # Windows has no descriptor of a folder; there the worst is that the model is compiled once more.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_others(path: Path) -> None:
    """Delete all but the newest forms of this model."""
    fingerprint = path.name.partition("-")[0]
    # Another process may delete them at the same time.
    with contextlib.suppress(OSError):
        forms = sorted(path.parent.glob(f"{fingerprint}-*"), key=lambda form: form.stat().st_mtime_ns)
        for old in forms[:-_KEPT_FORMS]:
            old.unlink()
