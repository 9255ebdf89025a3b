"""How many bytes a number takes in each storage type: the block sizes of GGML and the plain types.

This module is a table and its arithmetic; it neither reads files nor knows what a tensor is for.
Source of the block sizes: `GGML_QUANT_SIZES` of the gguf package 0.19 and ggml.h of llama.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ragstack.errors import ArchitectureError, UsageError


@dataclass(frozen=True, slots=True)
class StorageType:
    """A way to store numbers: `block` elements share `block_bytes` bytes."""

    name: str
    block: int
    block_bytes: int

    @property
    def bytes_per_element(self) -> Fraction:
        """Exact bytes for one element; a fraction, because blocks carry their scales."""
        return Fraction(self.block_bytes, self.block)

    @property
    def is_quantised(self) -> bool:
        """True when several elements share a scale."""
        return self.block > 1

    def bytes_for(self, elements: int) -> int:
        """Bytes of `elements` numbers; the last block is whole."""
        return -(-elements * self.block_bytes // self.block)


# (GGML type number, name, elements in a block, bytes of a block)
_GGML = (
    (0, "f32", 1, 4),
    (1, "f16", 1, 2),
    (2, "q4_0", 32, 18),
    (3, "q4_1", 32, 20),
    (6, "q5_0", 32, 22),
    (7, "q5_1", 32, 24),
    (8, "q8_0", 32, 34),
    (9, "q8_1", 32, 40),
    (10, "q2_k", 256, 84),
    (11, "q3_k", 256, 110),
    (12, "q4_k", 256, 144),
    (13, "q5_k", 256, 176),
    (14, "q6_k", 256, 210),
    (15, "q8_k", 256, 292),
    (16, "iq2_xxs", 256, 66),
    (17, "iq2_xs", 256, 74),
    (18, "iq3_xxs", 256, 98),
    (19, "iq1_s", 256, 50),
    (20, "iq4_nl", 32, 18),
    (21, "iq3_s", 256, 110),
    (22, "iq2_s", 256, 82),
    (23, "iq4_xs", 256, 136),
    (24, "i8", 1, 1),
    (25, "i16", 1, 2),
    (26, "i32", 1, 4),
    (27, "i64", 1, 8),
    (28, "f64", 1, 8),
    (29, "iq1_m", 256, 56),
    (30, "bf16", 1, 2),
    (34, "tq1_0", 256, 54),
    (35, "tq2_0", 256, 66),
    (39, "mxfp4", 32, 17),
    (40, "nvfp4", 64, 36),
    (41, "q1_0", 128, 18),
)

GGML_TYPES = {number: StorageType(name, block, size) for number, name, block, size in _GGML}

# Types of the other engines: one-byte floats and integers keep their scales outside the tensor.
_PLAIN = {name: StorageType(name, 1, 1) for name in ("fp8", "int8")}

STORAGE_TYPES = {kind.name: kind for kind in GGML_TYPES.values()} | _PLAIN

_ALIASES = {
    "float32": "f32",
    "fp32": "f32",
    "float": "f32",
    "float16": "f16",
    "fp16": "f16",
    "half": "f16",
    "bfloat16": "bf16",
    "float64": "f64",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "float8_e4m3fn": "fp8",
}

# What the key-value cache of some engine can hold (llama.cpp --cache-type-k, vLLM --kv-cache-dtype).
CACHE_TYPES = ("f32", "f16", "bf16", "fp8", "int8", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")

# Bits per weight of llama.cpp's file types, which mix tensor types; measured on Llama-3.1-8B
# (llama.cpp tools/quantize/README.md). The mix depends on the model: a file's own tensors are better.
FILE_TYPE_BITS = {
    "q2_k": 3.1593,
    "q3_k_s": 3.6429,
    "q3_k_l": 4.2979,
    "iq4_xs": 4.4597,
    "q4_k_s": 4.6672,
    "q4_k_m": 4.8944,
    "q5_k_s": 5.5704,
    "q5_k_m": 5.7036,
    "q6_k": 6.5633,
    "q8_0": 8.5008,
    "f16": 16.0005,
    # Four-bit integers with a float16 scale for each 128 weights and a packed zero point.
    "awq": 4.15625,
    "gptq": 4.15625,
    "int4": 4.15625,
}


def storage_type(name: str) -> StorageType:
    """The storage type called `name`, in the words of GGML, torch or vLLM; case does not matter.

    Raises UsageError for a name that is none.
    """
    key = name.lower().removeprefix("torch.")
    kind = STORAGE_TYPES.get(_ALIASES.get(key, key))
    if kind is None:
        raise UsageError(
            f"`{name}` is no storage type", hint=f"use one of {', '.join(sorted(STORAGE_TYPES))}"
        )
    return kind


def cache_type(name: str) -> StorageType:
    """The storage type `name`, refused when no engine keeps a key-value cache in it."""
    kind = storage_type(name)
    if kind.name not in CACHE_TYPES:
        raise UsageError(
            f"`{name}` is no type of a key-value cache", hint=f"use one of {', '.join(CACHE_TYPES)}"
        )
    return kind


def ggml_type(number: int) -> StorageType:
    """The GGML tensor type of that number.

    Raises ArchitectureError for a number that this version does not know.
    """
    kind = GGML_TYPES.get(number)
    if kind is None:
        raise ArchitectureError(
            f"tensor type {number} is unknown", hint="the file is damaged, or written by a newer llama.cpp"
        )
    return kind


def weight_bytes(parameters: int, weight_type: str) -> int:
    """Bytes of `parameters` weights stored as `weight_type`: a file type such as Q4_K_M, or a plain type.

    For a file type the bits per weight are an average that was measured on one model; see FILE_TYPE_BITS.
    """
    bits = FILE_TYPE_BITS.get(weight_type.lower())
    if bits is not None:
        return round(parameters * bits / 8)
    return storage_type(weight_type).bytes_for(parameters)
