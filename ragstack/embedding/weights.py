"""Checks that weight files are whole safetensors files, which hold numbers and can run no code.

A check of the form, in a millisecond: it finds truncated downloads and files that are something else. That
the numbers are the right ones is for their hash to say.
"""

from __future__ import annotations

import json
from pathlib import Path

from ragstack.errors import EmbeddingError, ModelDamagedError

# The safetensors format: 8 bytes little-endian length of a JSON header, the header, the tensors' bytes
# (https://huggingface.co/docs/safetensors, "Format"). The library's own cap on the header is 100 MB.
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000

_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.ckpt")


def check_weights(path: Path) -> None:
    """Raise unless `path` is a complete safetensors file.

    Raises `ModelDamagedError`, or `EmbeddingError` if only pickled weights lie in its place.
    """
    if not path.is_file():
        raise _missing(path)
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        if start == b"version ":
            raise ModelDamagedError(
                f"the model file `{path}` is a Git LFS pointer, not the weights",
                hint="run `git lfs pull` where the model was cloned",
            )
        length = int.from_bytes(start, "little")
        header = file.read(length) if len(start) == _LENGTH_BYTES and length <= _LONGEST_HEADER else b""
    if path.stat().st_size != _LENGTH_BYTES + length + _tensor_bytes(header):
        raise ModelDamagedError(f"the model file `{path}` is not a complete safetensors file")


def _missing(path: Path) -> EmbeddingError:
    if any((path.parent / name).exists() for name in _PICKLED):
        return EmbeddingError(
            f"the weights in `{path.parent}` are pickled, which can run code when they are loaded",
            hint="choose a model with `model.safetensors`, or convert one that you trust "
            "with `save_pretrained(FOLDER, safe_serialization=True)`",
        )
    return ModelDamagedError(f"the model file `{path}` is missing")


def _tensor_bytes(header: bytes) -> int:
    """Bytes that the header says the tensors take; -1 if it is garbled, which no file's size agrees with."""
    try:
        tensors = json.loads(header)
        return max(
            (int(tensor["data_offsets"][1]) for name, tensor in tensors.items() if name != "__metadata__"),
            default=0,
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return -1
