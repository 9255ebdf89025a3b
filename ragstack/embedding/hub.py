"""Brings a model's files from the Hugging Face hub into its cache: the only module that uses the network.

It asks the hub only for what the cache lacks, fetches only configuration, tokenizer and safetensors files,
and says what it will fetch before it does. What the files mean is not its concern.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ragstack.embedding.quiet import quiet_libraries
from ragstack.errors import EmbeddingError, ModelNotFoundError, RagstackError, first_line

# What sentence-transformers reads of a model: no weights but safetensors, none of other runtimes, no code.
MODEL_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "[0-9]_*/*.json",
    "[0-9]_*/*.safetensors",
    "[0-9]_*/vocab.txt",
)

_TRUE = frozenset({"1", "ON", "TRUE", "YES"})


def hub_model(
    repository: str,
    revision: str | None,
    *,
    files: Sequence[str] = MODEL_FILES,
    is_complete: Callable[[Path], bool],
    offline: bool,
    announce: Callable[[str], None] | None,
    kind: str = "embedding model",
    needed: Sequence[str] = ("modules.json", "tokenizer.json"),
    hint: str = "name a folder that holds the model",
) -> Path:
    """The cached snapshot folder (named by its commit) of a model, downloaded first if the cache lacks it.

    `files` are patterns of the paths to fetch, `revision` is a commit, tag or branch (None: the one that is
    cached, else the newest), `is_complete` says whether a cached folder holds all that is needed, `kind`
    what such a model is called, `needed` which files it cannot be without beside weights, and `hint` what to
    do when the files cannot be had. Raises `ModelNotFoundError` for that case, and
    `EmbeddingError` for a model that lacks a file it cannot be used without.
    """
    cached = _cached(repository, revision, files)
    if cached is not None and is_complete(cached):
        return cached
    if offline or _forbidden_by_environment():
        raise ModelNotFoundError(
            f"the files of the {kind} `{repository}` are not on this machine, and it is offline",
            hint=hint,
        )
    with _explained(kind, _full_name(repository, revision), hint):
        sizes = _sizes(repository, revision, files)
        _refuse_unusable(kind, repository, sizes, needed)
        if announce is not None:
            announce(_announcement(kind, repository, sum(sizes.values())))
        return _download(repository, revision, files, bars=announce is not None and sys.stderr.isatty())


def _full_name(repository: str, revision: str | None) -> str:
    return repository if revision is None else f"{repository}@{revision}"


def _forbidden_by_environment() -> bool:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in _TRUE for name in names)


def _cached(repository: str, revision: str | None, files: Sequence[str]) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        with quiet_libraries():
            found = snapshot_download(
                repository, revision=revision, allow_patterns=list(files), local_files_only=True
            )
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise ModelNotFoundError(
            f"`{repository}` is neither a folder nor a name that a model on the hub can have",
            hint="name a folder, or a model as `owner/model` or `owner/model@revision`",
        ) from error
    return Path(found)


def _sizes(repository: str, revision: str | None, files: Sequence[str]) -> dict[str, int]:
    """The files that would be fetched, by path, with their bytes."""
    from huggingface_hub import HfApi

    with quiet_libraries():
        listed = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
    return {
        file.rfilename: file.size or 0
        for file in listed
        if any(fnmatch(file.rfilename, pattern) for pattern in files)
    }


def _announcement(kind: str, repository: str, size: int) -> str:
    from huggingface_hub import constants

    host = constants.ENDPOINT.partition("://")[2]
    return f"downloading the {kind} `{repository}` ({_readable(size)}) from {host}"


def _download(repository: str, revision: str | None, files: Sequence[str], *, bars: bool) -> Path:
    from huggingface_hub import snapshot_download

    with quiet_libraries(bars=bars):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(files)))


def _refuse_unusable(kind: str, repository: str, files: Iterable[str], needed: Iterable[str]) -> None:
    """Raise before hundreds of megabytes are fetched for nothing."""
    names = [file.rpartition("/")[2] for file in files]
    for name in needed:
        if name not in names:
            raise EmbeddingError(
                f"the {kind} `{repository}` has no `{name}`",
                hint="choose a model made for sentence-transformers",
            )
    if not any(name.endswith(".safetensors") for name in names):
        raise EmbeddingError(
            f"the {kind} `{repository}` has no safetensors weights, and pickled ones can run code",
            hint="choose a model whose files include `model.safetensors`",
        )


def _readable(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


@contextlib.contextmanager
def _explained(kind: str, name: str, hint: str) -> Iterator[None]:
    """Turn the client library's errors into one that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except RagstackError:
        raise
    except errors.GatedRepoError as error:
        raise ModelNotFoundError(
            f"the {kind} `{name}` is given out on request only",
            hint="request access on its page, run `hf auth login`, and try again",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFoundError(
            f"the hub has the {kind}, but not the revision: `{name}`", hint=hint
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"the hub has no {kind} `{name}`", hint="check its name; a private model needs `hf auth login`"
        ) from error
    # The library changed its transport twice, and connection errors share no base class across its versions.
    except Exception as error:
        reason = first_line(error)
        raise ModelNotFoundError(
            f"the {kind} `{name}` could not be downloaded: {reason}", hint=hint
        ) from error
