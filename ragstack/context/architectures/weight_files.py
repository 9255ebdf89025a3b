"""The exact bytes of the weights that lie beside a configuration, from headers and file sizes alone.

No tensor is loaded and nothing is unpickled: a `.bin` checkpoint counts by its size on disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragstack.errors import ArchitectureError

# The format allows 100 MB; the headers of the largest sharded models stay under 2 MiB a file.
LARGEST_HEADER = 16 * 2**20
LARGEST_INDEX = 64 * 2**20


def safetensors_bytes(path: Path) -> int:
    """Bytes of all tensors in one safetensors file, summed over the offsets in its header.

    Format: 8 bytes little-endian header length, then JSON of name -> {dtype, shape, data_offsets}
    (https://github.com/huggingface/safetensors). Raises ArchitectureError for a damaged header.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise _damaged(path, f"its header claims {length} bytes")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no object")
    return sum(_tensor_bytes(path, entry) for name, entry in header.items() if name != "__metadata__")


def _tensor_bytes(path: Path, entry: Any) -> int:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(isinstance(o, int) for o in offsets):
        raise _damaged(path, "a tensor has no `data_offsets`")
    start, end = offsets
    if not 0 <= start <= end:
        raise _damaged(path, "a tensor's `data_offsets` run backwards")
    return int(end - start)


def _damaged(path: Path, reason: str) -> ArchitectureError:
    return ArchitectureError(
        f"`{path}` is no usable safetensors file: {reason}", hint="download the file again"
    )


def folder_weight_bytes(folder: Path) -> int | None:
    """Bytes of the weights in a model's folder, None when there are none.

    One of the layouts is counted, in this order: `model*.safetensors`, the total of their index when the
    shards themselves are absent, `pytorch_model*.bin`. Adapters and other extra files do not count.
    """
    shards = sorted(folder.glob("model*.safetensors"))
    if shards:
        return sum(safetensors_bytes(shard) for shard in shards)
    index = folder / "model.safetensors.index.json"
    if index.is_file() and index.stat().st_size <= LARGEST_INDEX:
        return _index_total(index)
    binaries = sorted(folder.glob("pytorch_model*.bin"))
    return sum(path.stat().st_size for path in binaries) if binaries else None


def _index_total(index: Path) -> int | None:
    try:
        total = json.loads(index.read_bytes())["metadata"]["total_size"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArchitectureError(
            f"`{index}` lacks the field `metadata.total_size`", hint="download the index again"
        ) from error
    return int(total) if isinstance(total, int | float) and total > 0 else None
