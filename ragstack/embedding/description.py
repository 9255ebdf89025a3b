"""Reads what a sentence-transformers model is from its configuration files, without loading it.

It knows the files' layout and nothing of torch: dimension, longest input, prompts, pooling and the weight
files come from JSON alone, so that a store can be opened and documents chunked before any model is in
memory. Files are untrusted: only the module types listed here are accepted, and only weights that hold no
code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Any

from ragstack.errors import EmbeddingError, ModelDamagedError, ModelNotFoundError

# What these modules compute follows from their configuration and weights alone. Others either choose by the
# input (Router), bring their own tokenizer (WordEmbeddings, StaticEmbedding) or are code of the repository.
SUPPORTED_MODULES = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")

# Families that number positions from `pad_token_id + 1` and so read that many tokens fewer than they have
# position embeddings (`create_position_ids_from_input_ids` in transformers).
_OFFSET_POSITIONS = frozenset(
    {"camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"}
)

# Tokenizers without a limit say so with an astronomic number (`VERY_LARGE_INTEGER` in transformers is 1e30).
_NO_LIMIT_FROM = 1_000_000

# Used when no file names a limit: what BERT's positions allow, on which most embedding models are built.
DEFAULT_MAX_TOKENS = 512

_POOLING_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# What saving a model again changes in `config.json` without changing the model.
_INCIDENTAL_SETTINGS = frozenset(
    {"_name_or_path", "dtype", "torch_dtype", "transformers_version", "use_cache"}
)


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the model: its type without the package, its folder, its own settings."""

    kind: str
    folder: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ModelDescription:
    """What the files in `folder` say of a model.

    `config` is the transformer's `config.json`, `limits` its `sentence_bert_config.json`,
    `tokenizer_config` its `tokenizer_config.json` and `sentence_config` the model's
    `config_sentence_transformers.json`; the last three are empty when the model has no such file.
    """

    folder: Path
    modules: tuple[Module, ...]
    config: Mapping[str, Any]
    limits: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    sentence_config: Mapping[str, Any]

    @property
    def transformer_folder(self) -> Path:
        """Where the transformer's configuration, weights and tokenizer lie."""
        return self.folder / self.modules[0].folder

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer as the `tokenizers` library serialises it."""
        return self.transformer_folder / "tokenizer.json"

    @property
    def lowercases(self) -> bool:
        """Whether texts are lowercased before the tokenizer sees them."""
        return bool(self.limits.get("do_lower_case", False))

    @property
    def padding_id(self) -> int:
        """The token that fills up the shorter texts of a batch."""
        value = self.config.get("pad_token_id")
        return value if isinstance(value, int) else 0

    @cached_property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special tokens included."""
        candidates = [self._stated_limit(), self._position_limit()]
        return min((limit for limit in candidates if limit is not None), default=DEFAULT_MAX_TOKENS)

    def _stated_limit(self) -> int | None:
        """The limit that the model's author set; the first file that names one decides."""
        processor = self.limits.get("processor_kwargs") or self.limits.get("tokenizer_args") or {}
        for settings, name in (
            (processor, "model_max_length"),
            (self.limits, "max_seq_length"),
            (self.tokenizer_config, "model_max_length"),
        ):
            value = settings.get(name)
            if isinstance(value, int | float) and 0 < value < _NO_LIMIT_FROM:
                return int(value)
        return None

    def _position_limit(self) -> int | None:
        """How many positions the transformer can tell apart."""
        positions = self.config.get("max_position_embeddings")
        if not isinstance(positions, int) or positions <= 0:
            return None
        if self.config.get("model_type") in _OFFSET_POSITIONS:
            padding_id = self.config.get("pad_token_id")
            return positions - (padding_id if isinstance(padding_id, int) else 1) - 1
        return positions

    @cached_property
    def output_dimension(self) -> int:
        """Length of the vectors that the last module gives."""
        dimension = self.config.get("hidden_size") or self.config.get("dim") or self.config.get("d_model")
        for module in self.modules:
            if module.kind == "Pooling":
                dimension = len(_pooling_modes(module.settings)) * _pooled_dimension(
                    module.settings, dimension
                )
            elif module.kind == "Dense":
                dimension = module.settings.get("out_features")
        if not isinstance(dimension, int) or dimension <= 0:
            raise EmbeddingError(f"the files in `{self.folder}` do not say how long the model's vectors are")
        return dimension

    @property
    def dimension(self) -> int:
        """Length of the vectors that are used: `truncate_dim` of them where the model's author set it."""
        shortened = self.sentence_config.get("truncate_dim")
        if isinstance(shortened, int) and 0 < shortened < self.output_dimension:
            return shortened
        return self.output_dimension

    @property
    def pooling(self) -> str:
        """How the tokens' vectors become one, as sentence-transformers names it, such as `mean`."""
        kinds = (_pooling_modes(module.settings) for module in self.modules if module.kind == "Pooling")
        return "+".join(mode for modes in kinds for mode in modes)

    @property
    def pools_prompt(self) -> bool:
        """Whether the prompt's tokens count in the pooling."""
        pooling = (module.settings for module in self.modules if module.kind == "Pooling")
        return all(bool(settings.get("include_prompt", True)) for settings in pooling)

    @property
    def query_prompt(self) -> str:
        """What is put before a question."""
        return self._prompt("query")

    @property
    def document_prompt(self) -> str:
        """What is put before a document's text."""
        return self._prompt("document", "passage", "corpus")

    def _prompt(self, *names: str) -> str:
        """The prompt of the first of these names, else the default one (as `encode_query` chooses)."""
        prompts = self.sentence_config.get("prompts") or {}
        for name in (*names, self.sentence_config.get("default_prompt_name")):
            if isinstance(prompts.get(name), str):
                return str(prompts[name])
        return ""

    @cached_property
    def weight_files(self) -> tuple[str, ...]:
        """The safetensors files that make up the model, relative to `folder`, sorted; they may be missing."""
        files = set(_transformer_weights(self.folder, self.modules[0].folder))
        for module in self.modules:
            if module.kind in ("Dense", "LayerNorm"):
                files.add(f"{module.folder}/model.safetensors")
        return tuple(sorted(files))

    def identity(self) -> dict[str, Any]:
        """What besides the weights and the tokenizer decides the vectors, in a canonical form."""
        config = {name: value for name, value in self.config.items() if name not in _INCIDENTAL_SETTINGS}
        modules = [[module.kind, _canonical_settings(module)] for module in self.modules]
        return {"config": config, "modules": modules, "lowercases": self.lowercases}


def read_description(folder: Path) -> ModelDescription:
    """Read the configuration of the model in `folder`.

    Raises `ModelNotFoundError` when it holds no sentence-transformers model, `ModelDamagedError` when a
    file is garbled, and `EmbeddingError` when the model is of a kind that is not supported.
    """
    if not (folder / "modules.json").is_file():
        raise ModelNotFoundError(
            f"`{folder}` holds no sentence-transformers model: there is no `modules.json`",
            hint="name a folder that `SentenceTransformer.save_pretrained` wrote",
        )
    modules = _read_modules(folder)
    transformer = folder / modules[0].folder
    description = ModelDescription(
        folder=folder,
        modules=modules,
        config=_read_object(transformer / "config.json"),
        limits=_read_object(transformer / "sentence_bert_config.json", optional=True),
        tokenizer_config=_read_object(transformer / "tokenizer_config.json", optional=True),
        sentence_config=_read_object(folder / "config_sentence_transformers.json", optional=True),
    )
    _refuse_other_kinds(description)
    return description


def _refuse_other_kinds(description: ModelDescription) -> None:
    kind = description.sentence_config.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise EmbeddingError(f"the model in `{description.folder}` is a {kind}, which gives no dense vectors")
    if (description.transformer_folder / "adapter_config.json").exists():
        raise EmbeddingError(
            f"`{description.folder}` is an adapter for another model, which is not supported",
            hint="merge the adapter into its model (`merge_and_unload` of peft) and save that",
        )


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds every file without which the model in it cannot be opened."""
    try:
        description = read_description(folder)
    except (ModelNotFoundError, ModelDamagedError):
        return False
    weights = (folder / file for file in description.weight_files)
    return description.tokenizer_file.is_file() and all(path.is_file() for path in weights)


def _read_modules(folder: Path) -> tuple[Module, ...]:
    entries = _read_json(folder / "modules.json")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ModelDamagedError(f"`{folder / 'modules.json'}` is not a list of modules")
    modules = tuple(_read_module(folder, entry) for entry in entries)
    if modules[0].kind != "Transformer":
        raise EmbeddingError(
            f"the model in `{folder}` does not begin with a transformer but with {modules[0].kind}"
        )
    return modules


def _read_module(folder: Path, entry: Mapping[str, Any]) -> Module:
    package, _, kind = str(entry.get("type", "")).rpartition(".")
    if package.partition(".")[0] != "sentence_transformers" or kind not in SUPPORTED_MODULES:
        raise EmbeddingError(
            f"the model in `{folder}` uses the module `{entry.get('type')}`, which is not supported",
            hint=f"choose a model made of {', '.join(SUPPORTED_MODULES)}; code from model files is never run",
        )
    path = str(entry.get("path", ""))
    _refuse_escape(folder, path)
    if kind == "Transformer":
        return Module(kind, path, {})
    settings = _read_object(folder / path / "config.json", optional=kind in ("Normalize", "Dropout"))
    activation = str(settings.get("activation_function", "torch.nn."))
    if not activation.startswith("torch.nn."):
        raise EmbeddingError(
            f"the model in `{folder}` uses the activation function `{activation}`, not one of torch"
        )
    return Module(kind, path, settings)


def _refuse_escape(folder: Path, path: str) -> None:
    # Windows' rules see a drive, a backslash and `..` on every system.
    parsed = PureWindowsPath(path)
    if parsed.anchor or ".." in parsed.parts:
        raise EmbeddingError(f"the model in `{folder}` names a module outside its folder: `{path}`")


def _transformer_weights(folder: Path, subfolder: str) -> list[str]:
    prefix = f"{subfolder}/" if subfolder else ""
    index = folder / subfolder / "model.safetensors.index.json"
    if (folder / subfolder / "model.safetensors").exists() or not index.exists():
        return [f"{prefix}model.safetensors"]
    shards = _read_object(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelDamagedError(f"`{index}` names no weight files")
    for shard in shards.values():
        _refuse_escape(folder, str(shard))
    return [f"{prefix}{shard}" for shard in shards.values()]


def _pooling_modes(settings: Mapping[str, Any]) -> tuple[str, ...]:
    mode = settings.get("pooling_mode")
    if isinstance(mode, str):
        return (mode,)
    if isinstance(mode, list):
        return tuple(str(part) for part in mode)
    return tuple(name for switch, name in _POOLING_SWITCHES.items() if settings.get(switch)) or ("mean",)


def _pooled_dimension(settings: Mapping[str, Any], dimension: Any) -> int:
    stated = settings.get("embedding_dimension") or settings.get("word_embedding_dimension") or dimension
    return stated if isinstance(stated, int) else 0


def _canonical_settings(module: Module) -> dict[str, Any]:
    if module.kind != "Pooling":
        return dict(module.settings)
    return {
        "modes": list(_pooling_modes(module.settings)),
        "include_prompt": bool(module.settings.get("include_prompt", True)),
    }


def _read_object(path: Path, *, optional: bool = False) -> dict[str, Any]:
    if optional and not path.is_file():
        return {}
    found = _read_json(path)
    if not isinstance(found, dict):
        raise ModelDamagedError(f"`{path}` does not hold a JSON object")
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelDamagedError(f"the model file `{path}` is missing") from error
    except (ValueError, RecursionError) as error:
        raise ModelDamagedError(f"the model file `{path}` is not readable JSON") from error
    except OSError as error:
        raise ModelDamagedError(f"the model file `{path}` cannot be read: {error.strerror}") from error
