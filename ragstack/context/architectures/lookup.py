"""The one door to a model's architecture: decides from its argument which builder to ask.

It looks at files, the built-in registry, the local Hugging Face cache and, when given an address, a server.
It never downloads anything.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.gguf import MAGIC
from ragstack.context.architectures.gguf_models import read_gguf
from ragstack.context.architectures.huggingface import read_config
from ragstack.context.architectures.registry import known_model, unknown_model
from ragstack.errors import ArchitectureError


def describe_model(
    name_or_path_or_url: str | Path, *, model: str | None = None, key: str | None = None
) -> Architecture:
    """The architecture of a model, from whatever describes it.

    In this order: an address (`http://localhost:11434`, asked over the network, with `model` and `key` if
    the server needs them); a file (a GGUF file or a `config.json`) or a folder that holds one; a name of
    the registry (`Llama-3.1-8B`, `llama3.1:8b`); a repository in the local Hugging Face cache.

    Raises ArchitectureError naming what is missing, with a hint of what to give instead.
    """
    target = str(name_or_path_or_url)
    if re.match(r"https?://", target, re.IGNORECASE):
        # Only an address needs it, and its HTTP client takes longer to import than all the rest.
        from ragstack.context.architectures.servers import describe_server

        return _completed(describe_server(target, model=model, key=key))
    path = Path(target).expanduser()
    if path.is_dir():
        return _describe_folder(path)
    if path.is_file():
        return _describe_file(path)
    if path.suffix in (".gguf", ".json") or isinstance(name_or_path_or_url, Path):
        raise ArchitectureError(f"there is no file `{target}`", hint="check the path")
    found = known_model(target) or _cached_repository(target)
    if found is None:
        raise unknown_model(target)
    return found


def _describe_file(path: Path) -> Architecture:
    with path.open("rb") as file:
        is_gguf = file.read(4) == MAGIC
    if is_gguf or path.suffix == ".gguf":
        return read_gguf(path)
    if path.suffix == ".json":
        return read_config(path)
    raise ArchitectureError(f"`{path}` is neither GGUF nor JSON", hint="name a GGUF file or a `config.json`")


def _describe_folder(folder: Path) -> Architecture:
    config = folder / "config.json"
    if config.is_file():
        return read_config(config)
    files = [path for path in sorted(folder.glob("*.gguf")) if not path.name.startswith("mmproj")]
    if not files:
        raise ArchitectureError(
            f"`{folder}` holds neither `config.json` nor a GGUF file", hint="name a model's folder"
        )
    if len(files) > 1 and not re.search(r"-00001-of-\d{5}\.gguf$", files[0].name):
        raise ArchitectureError(f"`{folder}` holds {len(files)} GGUF files", hint="name one of them")
    return read_gguf(files[0])


def _cached_repository(name: str) -> Architecture | None:
    config = cached_file(name, "config.json")
    return replace(read_config(config), name=name) if config else None


def cached_file(repository: str, file: str) -> Path | None:
    """The newest `file` of a repository that was downloaded before, in the cache of huggingface_hub."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        return None
    snapshots = _hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob(f"*/{file}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return found[0] if found else None


def _hub_cache() -> Path:
    """Where huggingface_hub keeps repositories, by its own environment variables."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _completed(served: Architecture) -> Architecture:
    """A server's word on its window, and layers from elsewhere if it did not describe them."""
    if served.is_known:
        return served
    path = Path(served.name)
    found = read_config(path / "config.json") if (path / "config.json").is_file() else None
    found = found or known_model(served.name) or _cached_repository(served.name)
    if found is None:
        return served
    return replace(
        found,
        name=served.name,
        source=f"{served.source} (layers: {found.source})",
        weight_bytes=served.weight_bytes or found.weight_bytes,
        allocated_window=served.allocated_window,
        server=served.server,
        server_slots=served.server_slots,
        notes=(*found.notes, "the layers are those of the model's name, not of the server"),
    )
