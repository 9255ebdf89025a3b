"""Well-known models by name, so that a budget can be computed without a file: each with its source.

The entries hold the fields of the model's own `config.json`, and are read by the same code as a file. A file
or a server is better: it says what is really there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.huggingface import architecture_from_config
from ragstack.context.architectures.quantization import FILE_TYPE_BITS, STORAGE_TYPES
from ragstack.errors import ArchitectureError

_LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8_192}


@dataclass(frozen=True)
class KnownModel:
    """A model of the registry. `repository` on huggingface.co holds the `config.json` the fields are from."""

    name: str
    repository: str
    config: Mapping[str, Any]
    aliases: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The page where the fields can be looked up."""
        return f"https://huggingface.co/{self.repository}/blob/main/config.json"


def _model(
    name: str,
    repository: str,
    family: str,
    shape: tuple[Any, ...],
    vocabulary: int,
    window: int,
    *,
    aliases: tuple[str, ...] = (),
    **more: Any,
) -> KnownModel:
    """An entry; `shape` is layers, hidden size, feed-forward size, (query heads, key-value heads)."""
    layers, hidden, feed_forward, (heads, kv_heads) = shape
    config = {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": feed_forward,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": window,
        **more,
    }
    return KnownModel(name, repository, config, aliases)


def _llama3(name: str, repository: str, *shape: Any, **more: Any) -> KnownModel:
    return _model(
        name, f"meta-llama/{repository}", "llama", shape, 128_256, 131_072, rope_scaling=_LLAMA3_ROPE, **more
    )


def _llama2(name: str, repository: str, *shape: Any) -> KnownModel:
    return _model(name, f"meta-llama/{repository}", "llama", shape, 32_000, 4_096)


def _qwen25(size: str, *shape: Any, vocabulary: int = 152_064, **more: Any) -> KnownModel:
    name = f"Qwen2.5-{size}"
    return _model(name, f"Qwen/{name}-Instruct", "qwen2", shape, vocabulary, 32_768, **more)


def _qwen3(size: str, *shape: Any, family: str = "qwen3", **more: Any) -> KnownModel:
    name = f"Qwen3-{size}"
    return _model(name, f"Qwen/{name}", family, shape, 151_936, 40_960, head_dim=128, **more)


def _gemma2(size: str, *shape: Any, **more: Any) -> KnownModel:
    return _model(f"gemma-2-{size}", f"google/gemma-2-{size}-it", "gemma2", shape, 256_000, 8_192, **more)


def _gemma3(
    size: str, *shape: Any, vocabulary: int = 262_208, window: int = 131_072, **more: Any
) -> KnownModel:
    name = f"gemma-3-{size}"
    return _model(name, f"google/{name}-it", "gemma3_text", shape, vocabulary, window, **more)


def _smollm2(size: str, *shape: Any) -> KnownModel:
    name = f"SmolLM2-{size}"
    repository = f"HuggingFaceTB/{name}-Instruct"
    return _model(name, repository, "llama", shape, 49_152, 8_192, tie_word_embeddings=True)


_MIXTURE = {"num_experts": 128, "num_experts_per_tok": 8}

KNOWN_MODELS = (
    _llama3("Llama-3.1-8B", "Llama-3.1-8B-Instruct", 32, 4_096, 14_336, (32, 8)),
    _llama3("Llama-3.1-70B", "Llama-3.1-70B-Instruct", 80, 8_192, 28_672, (64, 8)),
    _llama3("Llama-3.3-70B", "Llama-3.3-70B-Instruct", 80, 8_192, 28_672, (64, 8)),
    _llama3("Llama-3.1-405B", "Llama-3.1-405B-Instruct", 126, 16_384, 53_248, (128, 8)),
    _llama3("Llama-3.2-1B", "Llama-3.2-1B-Instruct", 16, 2_048, 8_192, (32, 8), tie_word_embeddings=True),
    _llama3("Llama-3.2-3B", "Llama-3.2-3B-Instruct", 28, 3_072, 8_192, (24, 8), tie_word_embeddings=True),
    _model(
        "Llama-3-8B",
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "llama",
        (32, 4_096, 14_336, (32, 8)),
        128_256,
        8_192,
    ),
    _llama2("Llama-2-7B", "Llama-2-7b-chat-hf", 32, 4_096, 11_008, (32, 32)),
    _llama2("Llama-2-13B", "Llama-2-13b-chat-hf", 40, 5_120, 13_824, (40, 40)),
    _model(
        "TinyLlama-1.1B",
        "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
        "llama",
        (22, 2_048, 5_632, (32, 4)),
        32_000,
        2_048,
        aliases=("TinyLlama",),
    ),
    _smollm2("135M", 30, 576, 1_536, (9, 3)),
    _smollm2("360M", 32, 960, 2_560, (15, 5)),
    _smollm2("1.7B", 24, 2_048, 8_192, (32, 32)),
    _model(
        "Mistral-7B-v0.1",
        "mistralai/Mistral-7B-v0.1",
        "mistral",
        (32, 4_096, 14_336, (32, 8)),
        32_000,
        32_768,
        sliding_window=4_096,
    ),
    _model(
        "Mistral-7B-v0.3",
        "mistralai/Mistral-7B-Instruct-v0.3",
        "mistral",
        (32, 4_096, 14_336, (32, 8)),
        32_768,
        32_768,
        aliases=("Mistral-7B", "mistral"),
        sliding_window=None,
    ),
    _model(
        "Mistral-Nemo-12B",
        "mistralai/Mistral-Nemo-Instruct-2407",
        "mistral",
        (40, 5_120, 14_336, (32, 8)),
        131_072,
        131_072,
        aliases=("Mistral-Nemo", "Mistral-Nemo-2407"),
        head_dim=128,
        sliding_window=None,
    ),
    _model(
        "Mistral-Small-24B",
        "mistralai/Mistral-Small-24B-Instruct-2501",
        "mistral",
        (40, 5_120, 32_768, (32, 8)),
        131_072,
        32_768,
        head_dim=128,
        sliding_window=None,
    ),
    _model(
        "Mixtral-8x7B",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "mixtral",
        (32, 4_096, 14_336, (32, 8)),
        32_000,
        32_768,
        num_local_experts=8,
        num_experts_per_tok=2,
    ),
    _qwen25("0.5B", 24, 896, 4_864, (14, 2), vocabulary=151_936, tie_word_embeddings=True),
    _qwen25("1.5B", 28, 1_536, 8_960, (12, 2), vocabulary=151_936, tie_word_embeddings=True),
    _qwen25("3B", 36, 2_048, 11_008, (16, 2), vocabulary=151_936, tie_word_embeddings=True),
    _qwen25("7B", 28, 3_584, 18_944, (28, 4)),
    _qwen25("14B", 48, 5_120, 13_824, (40, 8)),
    _qwen25("32B", 64, 5_120, 27_648, (40, 8)),
    _qwen25("72B", 80, 8_192, 29_568, (64, 8)),
    _qwen3("0.6B", 28, 1_024, 3_072, (16, 8), tie_word_embeddings=True),
    _qwen3("1.7B", 28, 2_048, 6_144, (16, 8), tie_word_embeddings=True),
    _qwen3("4B", 36, 2_560, 9_728, (32, 8), tie_word_embeddings=True),
    _qwen3("8B", 36, 4_096, 12_288, (32, 8)),
    _qwen3("14B", 40, 5_120, 17_408, (40, 8)),
    _qwen3("32B", 64, 5_120, 25_600, (64, 8)),
    _qwen3(
        "30B-A3B",
        *(48, 2_048, 6_144, (32, 4)),
        family="qwen3_moe",
        moe_intermediate_size=768,
        **_MIXTURE,
    ),
    _qwen3(
        "235B-A22B",
        *(94, 4_096, 12_288, (64, 4)),
        family="qwen3_moe",
        moe_intermediate_size=1_536,
        **_MIXTURE,
    ),
    _gemma2("2b", 26, 2_304, 9_216, (8, 4)),
    _gemma2("9b", 42, 3_584, 14_336, (16, 8)),
    _gemma2("27b", 46, 4_608, 36_864, (32, 16), head_dim=128),
    _gemma3("270m", 18, 640, 2_048, (4, 1), vocabulary=262_144, window=32_768, sliding_window=512),
    _gemma3("1b", 26, 1_152, 6_912, (4, 1), vocabulary=262_144, window=32_768, sliding_window=512),
    _gemma3("4b", 34, 2_560, 10_240, (8, 4), sliding_window=1_024),
    _gemma3("12b", 48, 3_840, 15_360, (16, 8), sliding_window=1_024),
    _gemma3("27b", 62, 5_376, 21_504, (32, 16), sliding_window=1_024, head_dim=128),
    _model(
        "Phi-3-mini-4k",
        "microsoft/Phi-3-mini-4k-instruct",
        "phi3",
        (32, 3_072, 8_192, (32, 32)),
        32_064,
        4_096,
        aliases=("phi3:mini",),
        sliding_window=2_047,
    ),
    _model(
        "phi-4",
        "microsoft/phi-4",
        "phi3",
        (40, 5_120, 17_920, (40, 10)),
        100_352,
        16_384,
        aliases=("phi4:14b",),
        sliding_window=None,
    ),
    _model(
        "DeepSeek-V3",
        "deepseek-ai/DeepSeek-V3",
        "deepseek_v3",
        (61, 7_168, 18_432, (128, 128)),
        129_280,
        163_840,
        aliases=("DeepSeek-R1", "deepseek-r1:671b"),
        moe_intermediate_size=2_048,
        n_routed_experts=256,
        n_shared_experts=1,
        num_experts_per_tok=8,
        first_k_dense_replace=3,
        quantization_config={"quant_method": "fp8"},
    ),
    _model(
        "gpt-oss-20b",
        "openai/gpt-oss-20b",
        "gpt_oss",
        (24, 2_880, 2_880, (64, 8)),
        201_088,
        131_072,
        num_local_experts=32,
        quantization_config={"quant_method": "mxfp4"},
    ),
    _model(
        "gpt-oss-120b",
        "openai/gpt-oss-120b",
        "gpt_oss",
        (36, 2_880, 2_880, (64, 8)),
        201_088,
        131_072,
        num_local_experts=128,
        quantization_config={"quant_method": "mxfp4"},
    ),
    _model("gpt2", "openai-community/gpt2", "gpt2", (12, 768, 3_072, (12, 12)), 50_257, 1_024),
)


_SUFFIXES = re.compile(r"(instruct|chat|base|text|it|hf|latest|gguf|fp16)$")
_QUANTISATION = re.compile(r"[-:_](q\d[\w]*|iq\d[\w]*|f16|bf16|fp16|fp8|awq|gptq|int4|mxfp4)$", re.IGNORECASE)

# What `ollama pull NAME` fetches unless a tag says otherwise (https://ollama.com/library).
OLLAMA_TYPE = "q4_k_m"


def known_model(name: str) -> Architecture | None:
    """The model of that name, None when the registry has none.

    Case, punctuation, the organisation and words like `Instruct` do not matter; `llama3.1:8b` is
    `meta-llama/Llama-3.1-8B-Instruct` with the weights that Ollama fetches, and a suffix such as `-q8_0`
    sets their type.
    """
    bare, weight_type = _split_quantisation(name)
    entry = _INDEX.get(_key(bare))
    if entry is None:
        return None
    described = architecture_from_config(entry.config, name=entry.name, source=entry.source)
    if weight_type is None and ":" in name:
        weight_type = None if "quantization_config" in entry.config else OLLAMA_TYPE
    return described.quantised(weight_type) if weight_type else described


def unknown_model(name: str) -> ArchitectureError:
    """The error for a name that is nowhere to be found, with the nearest names as a hint."""
    near = difflib.get_close_matches(_key(name), _INDEX, n=3, cutoff=0.6)
    names = dict.fromkeys(_INDEX[key].name for key in near)
    hint = "name a config.json, a GGUF file, a model's folder or a server's address"
    if names:
        hint = f"did you mean {' or '.join(f'`{known}`' for known in names)}? else {hint}"
    return ArchitectureError(f"`{name}` is neither a file nor a model that ragstack knows", hint=hint)


def _split_quantisation(name: str) -> tuple[str, str | None]:
    match = _QUANTISATION.search(name)
    if match is None:
        return name, None
    kind = match.group(1).lower().replace("fp16", "f16")
    known = kind in FILE_TYPE_BITS or kind in STORAGE_TYPES
    return (name[: match.start()], kind) if known else (name, None)


def _key(name: str) -> str:
    """The name without organisation, punctuation and the words that do not change the architecture."""
    key = re.sub(r"[^a-z0-9]", "", name.rsplit("/", 1)[-1].lower())
    key = key.removeprefix("meta")
    while _SUFFIXES.search(key):
        key = _SUFFIXES.sub("", key)
    return key


_INDEX = {
    _key(name): entry for entry in KNOWN_MODELS for name in (entry.name, entry.repository, *entry.aliases)
}
