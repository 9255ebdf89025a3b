"""Settings, where the store is, and why each has the value it has: flag > environment > file > default.

Two files are read, both named `ragstack.toml`: the user's own, and the one beside the `.ragstack/` of the
project whose store is in use. A project's file may come with a cloned repository, so it never decides where
private text goes or which model reads it. What the settings mean is up to the stages that use them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from ragstack.errors import ConfigurationError

SETTINGS_FILE = "ragstack.toml"
PROJECT_STORE = ".ragstack"
DATABASE_FILE = "ragstack.db"
HISTORY_FILE = "history.db"

# Small enough to run on any processor, and the one embedder whose files are installable as a package.
DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

# Large enough that most paragraphs are whole in a chunk, small enough that little stands around the evidence.
# Measured on the Chroma chunking evaluation with the retrieval and the windows of today (5 chunks; recall and
# precision of evidence, %): 200/50 90.6 / 5.9 from 2,731 chunks. Before windows ended with paragraphs, and
# by the fusion of then: 200/50 88.3 / 5.7 from 3,033; 160/40 85.4 / 6.9 from 4,020; 160/80 83.4 / 6.5 from
# 6,419; 128/64 81.5 / 7.8; 224/112 86.8 / 4.9 (the sizes were compared in bfloat16).
DEFAULT_CHUNK_SIZE = 200
DEFAULT_OVERLAP = 50

# What most servers allocate when nobody asks for more, however long the window that the model was trained on.
DEFAULT_WINDOW = 4_096

# A hundred books of text, and still small beside the memory of any machine.
DEFAULT_MAX_FILE_MIB = 100
# The longest printed books have under 4,000 pages.
DEFAULT_MAX_PAGES = 5_000
# Parts of office files were found to unpack to 41 times their size; bombs begin at 343.
DEFAULT_MAX_EXPANSION = 100
# 16 million tokens: a thousand books' worth of work for the embedder.
DEFAULT_MAX_CHUNKS = 100_000
# The slowest honest file that was met takes 4 seconds, and machines may be busy.
DEFAULT_READ_SECONDS = 60
# Together with an embedder in memory this stays under 1.5 GB; honest files were met up to 300 MiB.
DEFAULT_READ_MEMORY_MIB = 768

EXTRACTIVE = "extractive"
"""What `llm` is set to for no language model, where a file or the environment names one."""

Value = TypeVar("Value", covariant=True)


class Origin(StrEnum):
    """Where a value comes from, strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    PROJECT = "project"
    USER_FILE = "user file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting(Generic[Value]):
    """A value and, in words for the user, why it is this one."""

    value: Value
    origin: Origin
    reason: str


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """The directory of the store in use, whether or not there is a store in it yet."""

    path: Path
    reason: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One `ragstack.toml` that was looked for."""

    path: Path
    origin: Origin
    found: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its reason. Sizes are tokens: of the embedder for chunks, else of the reader.

    `model`, `chunk_size` and `overlap` hold for stores yet to be made; a store keeps those it was made with.
    """

    store: Setting[Path]
    model: Setting[str]
    chunk_size: Setting[int]
    overlap: Setting[int]
    window: Setting[int]
    reserve: Setting[int | None]
    budget: Setting[int | None]
    reader: Setting[str | None]
    llm: Setting[str | None]
    memory: Setting[str | None]
    latency: Setting[str | None]
    top_k: Setting[int | None]
    reranker: Setting[str | None]
    offline: Setting[bool]
    max_file_mib: Setting[int]
    max_pages: Setting[int]
    max_expansion: Setting[int]
    max_chunks: Setting[int]
    read_seconds: Setting[int]
    read_memory_mib: Setting[int]
    files: tuple[SettingsFile, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def store_exists(self) -> bool:
        """Whether there is a store in the directory already."""
        return (self.store.value / DATABASE_FILE).is_file()

    def store_demands(self) -> dict[str, Any]:
        """`model`, `chunk_size` and `overlap` to open the store with, None for what it may decide itself.

        A store that exists keeps what it was made with: only a flag asks it for something else, which it
        refuses with the way to rebuild it. What the environment and the files say is for new stores.
        """
        named = {"model": self.model, "chunk_size": self.chunk_size, "overlap": self.overlap}
        if self.store_exists:
            return {name: each.value if each.origin is Origin.FLAG else None for name, each in named.items()}
        return {name: each.value for name, each in named.items()}

    def reader_demands(self) -> dict[str, Any]:
        """`reader`, `window`, `memory` and `latency` of a prompt, None for what is left open.

        A model has a window of its own, so that the default counts only without one. Without a reader, memory
        and latency limit nothing: only a flag asks for them then, and is refused by whoever is asked.
        """
        named = self.reader.value is not None
        open_window = named and self.window.origin is Origin.DEFAULT
        demands: dict[str, Any] = {"reader": self.reader.value, "window": self.window.value}
        if open_window:
            demands["window"] = None
        for name, each in (("memory", self.memory), ("latency", self.latency)):
            demands[name] = each.value if named or each.origin is Origin.FLAG else None
        return demands

    def answer_demands(self) -> dict[str, Any]:
        """`reader_demands` and `llm`; a language model that answers is the reader, whatever else is named."""
        if self.llm.value is None or self.llm.value == EXTRACTIVE:
            return {**self.reader_demands(), "llm": None}
        window = None if self.window.origin is Origin.DEFAULT else self.window.value
        limits = {"window": window, "memory": self.memory.value, "latency": self.latency.value}
        return {"reader": None, "llm": self.llm.value, **limits}

    def __iter__(self) -> Iterator[tuple[str, Setting[Any]]]:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Setting):
                yield field.name, value


@dataclass(frozen=True, slots=True)
class Specification:
    """What may be given for one setting. `user_only` settings are refused in a project's file."""

    kind: type
    purpose: str
    minimum: int = 0
    user_only: bool = False
    default_text: str | None = None

    @property
    def expectation(self) -> str:
        """What a right value is, to end the sentence 'must be ...'."""
        if self.kind is int:
            return f"a whole number of at least {self.minimum}"
        return {bool: "true or false", str: "text", Path: "a directory"}[self.kind]


# A project could carry a directory named like a model of the hub, so `model` as a whole is the user's to set.
SPECIFICATIONS: Mapping[str, Specification] = {
    "store": Specification(Path, "Directory of the store.", user_only=True),
    "model": Specification(
        str,
        "Embedding model, by name or directory; a store keeps the one it was made with.",
        user_only=True,
        default_text=DEFAULT_MODEL,
    ),
    "chunk_size": Specification(
        int, "Tokens of a chunk in a new store.", minimum=1, default_text=str(DEFAULT_CHUNK_SIZE)
    ),
    "overlap": Specification(
        int, "Tokens that neighbouring chunks share in a new store.", default_text=str(DEFAULT_OVERLAP)
    ),
    "window": Specification(
        int,
        "Tokens that the reader of the prompt can take; a model that is named has a default of its own.",
        minimum=1,
        default_text=str(DEFAULT_WINDOW),
    ),
    "reserve": Specification(int, "Tokens of the window kept for the answer."),
    "budget": Specification(int, "Most tokens to spend on passages.", minimum=1),
    "reader": Specification(
        str,
        "Language model whose prompt is budgeted: a name, config.json, GGUF file or server's address.",
        user_only=True,
    ),
    "llm": Specification(
        str,
        "Language model that writes the answer: an address, ollama:MODEL, a model on this disk, or"
        " extractive for none.",
        user_only=True,
    ),
    "memory": Specification(str, "Memory that the reader may take, as in 8GB."),
    "latency": Specification(str, "Longest wait for the first token, as in 5s."),
    "top_k": Specification(int, "How many chunks to consider.", minimum=1),
    "reranker": Specification(
        str,
        "CrossEncoder that decides on the order of the best hits, by name or directory.",
        user_only=True,
    ),
    "offline": Specification(bool, "Never use the network.", user_only=True),
    # What a file may cost is for the user to say, not for a project that may be the one to attack.
    "max_file_mib": Specification(
        int,
        "Largest file that is read, in MiB.",
        minimum=1,
        user_only=True,
        default_text=str(DEFAULT_MAX_FILE_MIB),
    ),
    "max_pages": Specification(
        int,
        "Most pages, slides, sheets or cells of a document.",
        minimum=1,
        user_only=True,
        default_text=str(DEFAULT_MAX_PAGES),
    ),
    "max_expansion": Specification(
        int,
        "Times its size that a part of an office file or e-book may unpack to.",
        minimum=1,
        user_only=True,
        default_text=str(DEFAULT_MAX_EXPANSION),
    ),
    "max_chunks": Specification(
        int,
        "Most chunks of a document.",
        minimum=1,
        user_only=True,
        default_text=str(DEFAULT_MAX_CHUNKS),
    ),
    "read_seconds": Specification(
        int,
        "Longest time that reading a file may take, in seconds.",
        minimum=1,
        user_only=True,
        default_text=str(DEFAULT_READ_SECONDS),
    ),
    "read_memory_mib": Specification(
        int,
        "Most memory that reading a file may take, in MiB.",
        minimum=128,
        user_only=True,
        default_text=str(DEFAULT_READ_MEMORY_MIB),
    ),
}

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

_Layer = dict[str, Setting[Any]]


@dataclass(frozen=True, slots=True)
class _FileContents:
    file: SettingsFile
    layer: _Layer
    warnings: tuple[str, ...]


def environment_name(setting: str) -> str:
    """The environment variable of a setting: `RAGSTACK_TOP_K` for `top_k`."""
    return f"RAGSTACK_{setting.upper()}"


def flag_name(setting: str) -> str:
    """The command line option of a setting: `--top-k` for `top_k`."""
    return "--" + setting.replace("_", "-")


def user_settings_file() -> Path:
    """The user's own settings file, by the habits of the operating system."""
    from platformdirs import user_config_path

    return user_config_path("ragstack", appauthor=False) / SETTINGS_FILE


def user_store() -> Path:
    """The store of a user who names no other, by the habits of the operating system."""
    from platformdirs import user_data_path

    return user_data_path("ragstack", appauthor=False) / "store"


def locate_store(
    flag: str | Path | None,
    environment: str | None,
    directory: Path,
    configured: Setting[Path] | None = None,
) -> StoreLocation:
    """The store that `directory` uses: flag > environment > nearest `.ragstack/` upwards > the user's own.

    `environment` is the value of `RAGSTACK_STORE`; `configured` is what the user's settings file names in
    place of the per-user data directory. Nothing is created.
    """
    if flag:
        return StoreLocation(_absolute(flag, directory), "flag `--store`", Origin.FLAG)
    if environment:
        reason = "environment variable `RAGSTACK_STORE`"
        return StoreLocation(_absolute(environment, directory), reason, Origin.ENVIRONMENT)
    for parent in (directory, *directory.parents):
        if (parent / PROJECT_STORE).is_dir():
            reason = f"nearest `{PROJECT_STORE}/` from `{directory}` upwards"
            return StoreLocation(parent / PROJECT_STORE, reason, Origin.PROJECT)
    if configured is not None:
        return StoreLocation(configured.value, configured.reason, configured.origin)
    reason = f"per-user data directory; no `{PROJECT_STORE}/` from `{directory}` upwards"
    return StoreLocation(user_store(), reason, Origin.DEFAULT)


def load_settings(
    flags: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user_file: Path | None = None,
) -> Settings:
    """Every setting, from `flags` (None is not given), the environment, the two files and the defaults.

    Raises `ConfigurationError`, naming where it stands, for a value of a wrong type or size. A key that is
    unknown, or that a project's file may not set, is left out and reported in `Settings.warnings`.
    """
    variables = os.environ if environment is None else environment
    here = (directory or Path.cwd()).absolute()
    given = _flag_layer(flags or {}, here)
    user = _read_file(user_file or user_settings_file(), Origin.USER_FILE)
    location = locate_store(
        given["store"].value if "store" in given else None,
        variables.get(environment_name("store")),
        here,
        user.layer.get("store"),
    )
    files = [user]
    if location.path.name == PROJECT_STORE:
        files.insert(0, _read_file(location.path.parent / SETTINGS_FILE, Origin.PROJECT))
    merged: _Layer = {}
    for layer in (given, _environment_layer(variables, here), *(each.layer for each in files)):
        merged = layer | merged
    merged["store"] = Setting(location.path, location.origin, location.reason)
    # The hub's own client obeys this variable whatever ragstack is told, so it is never overruled here.
    if _is_true(variables.get("HF_HUB_OFFLINE", "")):
        merged["offline"] = Setting(True, Origin.ENVIRONMENT, "environment variable `HF_HUB_OFFLINE`")
    return Settings(
        **_with_defaults(merged),
        files=tuple(each.file for each in files),
        warnings=tuple(warning for each in files for warning in each.warnings),
    )


def default_overlap(chunk_size: int) -> int:
    """The overlap of chunks of this size when none is asked for, in the same tokens."""
    return min(DEFAULT_OVERLAP, largest_overlap(chunk_size))


def largest_overlap(chunk_size: int) -> int:
    """The largest overlap of chunks of this size: with more, most of a chunk is in its neighbours too."""
    return chunk_size // 2


def overlap_hint(chunk_size: int) -> str:
    """What to do about an overlap that is too large."""
    return f"choose an overlap from 0 to {largest_overlap(chunk_size)}, half of the chunk size"


def _with_defaults(layer: _Layer) -> _Layer:
    complete = dict(layer)

    def default(name: str, value: object, why: str) -> None:
        complete.setdefault(name, Setting(value, Origin.DEFAULT, f"default: {why}"))

    default("model", DEFAULT_MODEL, "small, and installable as a package")
    default("chunk_size", DEFAULT_CHUNK_SIZE, "whole paragraphs, with little around the evidence")
    chunk_size = complete["chunk_size"]
    default(
        "overlap", default_overlap(chunk_size.value), f"at most {DEFAULT_OVERLAP}, or half of `chunk_size`"
    )
    default("window", DEFAULT_WINDOW, "what most servers allocate unless told otherwise")
    default("reserve", None, "what the reader needs: nothing when it only copies sentences")
    default("budget", None, "all that the window leaves")
    default("reader", None, "sentences are copied, no language model reads a prompt")
    default("llm", None, "sentences are copied, no language model writes")
    default("memory", None, "what is free when it is asked")
    default("latency", None, "no limit")
    default("top_k", None, "the packer decides")
    default("reranker", None, "the order is that of meaning and words together")
    default("offline", False, "models may be downloaded, which is announced")
    default("max_file_mib", DEFAULT_MAX_FILE_MIB, "a hundred books of text")
    default("max_pages", DEFAULT_MAX_PAGES, "more than the longest books have")
    default("max_expansion", DEFAULT_MAX_EXPANSION, "office files reach 41, bombs begin at 343")
    default("max_chunks", DEFAULT_MAX_CHUNKS, "a thousand books' worth of embedding")
    default("read_seconds", DEFAULT_READ_SECONDS, "honest files take under 4")
    default("read_memory_mib", DEFAULT_READ_MEMORY_MIB, "honest files take under 300")
    overlap = complete["overlap"]
    if overlap.value > largest_overlap(chunk_size.value):
        raise ConfigurationError(
            f"the overlap is {overlap.value} tokens ({overlap.reason})"
            f" and the chunk size {chunk_size.value} ({chunk_size.reason})",
            hint=overlap_hint(chunk_size.value),
        )
    return complete


def _flag_layer(flags: Mapping[str, object], directory: Path) -> _Layer:
    layer: _Layer = {}
    for name, value in flags.items():
        if value is not None:
            source = f"flag `{flag_name(name)}`"
            layer[name] = Setting(_checked(name, value, source, directory), Origin.FLAG, source)
    return layer


def _environment_layer(variables: Mapping[str, str], directory: Path) -> _Layer:
    layer: _Layer = {}
    for name in SPECIFICATIONS:
        variable = environment_name(name)
        text = variables.get(variable, "").strip()
        if text:
            source = f"environment variable `{variable}`"
            value = _checked(name, _parsed(name, text), source, directory)
            layer[name] = Setting(value, Origin.ENVIRONMENT, source)
    return layer


def _parsed(name: str, text: str) -> object:
    """The text of an environment variable as the setting's type; text of another kind as it stands."""
    kind = SPECIFICATIONS[name].kind
    if kind is bool and (_is_true(text) or text.lower() in _FALSE):
        return _is_true(text)
    if kind is int:
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _is_true(text: str) -> bool:
    return text.strip().lower() in _TRUE


def _read_file(path: Path, origin: Origin) -> _FileContents:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return _FileContents(SettingsFile(path, origin, found=False), {}, ())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings file `{path}`: {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"`{path}` is not valid TOML: {error}") from error
    layer: _Layer = {}
    warnings = []
    for name, value in table.items():
        refusal = _refusal(name, path, origin)
        if refusal:
            warnings.append(refusal)
        else:
            source = f"`{path}`"
            layer[name] = Setting(_checked(name, value, source, path.parent), origin, source)
    return _FileContents(SettingsFile(path, origin, found=True), layer, tuple(warnings))


def _refusal(name: str, path: Path, origin: Origin) -> str | None:
    """Why a key of a settings file is left out, or None when it counts."""
    specification = SPECIFICATIONS.get(name)
    if specification is None:
        close = get_close_matches(name.replace("-", "_"), SPECIFICATIONS, n=1)
        suggestion = f"; did you mean `{close[0]}`?" if close else ""
        return f"unknown setting `{name}` in `{path}`{suggestion}"
    if specification.user_only and origin is Origin.PROJECT:
        return (
            f"`{name}` in `{path}` is ignored: only your own settings file, the environment or a flag sets it"
        )
    return None


def _checked(name: str, value: object, source: str, directory: Path) -> object:
    """The value in its setting's type; relative directories are taken from `directory`."""
    if name not in SPECIFICATIONS:
        raise ConfigurationError(f"there is no setting `{name}` ({source})")
    specification = SPECIFICATIONS[name]
    kind = specification.kind
    if kind is Path and isinstance(value, str | Path) and str(value):
        return _absolute(value, directory)
    if kind is str and isinstance(value, str) and value:
        return str(_home_expanded(value)) if value.startswith("~") else value
    if kind is bool and isinstance(value, bool):
        return value
    # A bool is an int to Python, but `window = true` is a mistake.
    if (
        kind is int
        and isinstance(value, int)
        and not isinstance(value, bool)
        and value >= specification.minimum
    ):
        return value
    raise ConfigurationError(f"`{name}` must be {specification.expectation}, not {value!r} ({source})")


def _absolute(path: str | Path, directory: Path) -> Path:
    return directory / _home_expanded(path)


def _home_expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(f"cannot expand `{path}`: {error}") from error
