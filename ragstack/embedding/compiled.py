"""Chooses what runs a model: its compiled form where that gives the original's vectors, else the original.

At a model's first use on a machine it is compiled, checked against the original on probe texts, and kept in
the user's cache directory; from then on neither torch nor sentence-transformers is imported for it. What is
not compiled, and why, is said in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragstack.embedding.bert_graph import build_bert, is_plain_bert
from ragstack.embedding.fingerprint import PROBE_COSINE, PROBE_TEXTS, lowest_cosine
from ragstack.embedding.model_cache import CachedModel, cache_path, read_cached, write_cached
from ragstack.embedding.openvino_runtime import (
    OpenVinoRuntime,
    compile_graph,
    compiled_for,
    export_compiled,
    import_compiled,
    load_openvino,
    precisions,
)
from ragstack.embedding.runtime import Runtime, pad
from ragstack.errors import EmbeddingError, ModelDamagedError, first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragstack.embedding.sentence import SentenceTransformerEmbedder
    from ragstack.embedding.torch_runtime import TorchRuntime

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

Announce = Callable[[str], None]

# Models whose vectors of the check texts travel with the package, by fingerprint key: the default model need
# not load torch even once. The vectors are sentence-transformers' in float32; a test computes them again.
SHIPPED_VECTORS = {
    "bf28c374c3be59ec0a119029ec62c8e47d541457f4fde6c738f97c82dee045b3": "all-MiniLM-L6-v2.vectors.npy",
}

# Tokens of the longest check text, if the model reads as many: long enough to notice a trace that holds for
# short texts only.
_LONG_TEXT_TOKENS = 512


def open_runtime(embedder: SentenceTransformerEmbedder, announce: Announce) -> Runtime:
    """What runs the model on this machine's processor; `announce` is told what is done instead of the usual.

    Raises EmbeddingError when the original cannot be opened either.
    """
    try:
        load_openvino()
    except ImportError:
        announce(
            "OpenVINO is not installed: the embedding model runs through sentence-transformers, more slowly"
        )
        return open_original(embedder)
    path = cache_path(embedder.fingerprint.key, compiled_for())
    try:
        runtime = _open_cached(embedder, path, announce)
    except ModelDamagedError as error:
        announce(f"the compiled embedding model `{path}` is damaged ({error.message}); compiling it again")
        runtime = None
    return runtime or _compile_and_keep(embedder, path, announce)


def open_original(embedder: SentenceTransformerEmbedder, *, device: str | None = "cpu") -> TorchRuntime:
    """The model run by sentence-transformers; None leaves the device to torch."""
    from ragstack.embedding.torch_runtime import TorchRuntime

    return TorchRuntime(embedder.description, embedder.tokenizer, device=device)


def _open_cached(embedder: SentenceTransformerEmbedder, path: Path, announce: Announce) -> Runtime | None:
    cached = read_cached(path)
    if cached is None:
        return None
    if cached.refusal:
        announce(_refusal(embedder, cached.refusal))
        return open_original(embedder)
    return _runtime_of(cached)


def _runtime_of(cached: CachedModel) -> Runtime:
    try:
        compiled = import_compiled(cached.data, cached.precision)
    except RuntimeError as error:
        raise ModelDamagedError("OpenVINO does not read it") from error
    in_streams = partial(import_compiled, cached.data, cached.precision, streams=True)
    return OpenVinoRuntime(compiled, in_streams=in_streams, keep=cached.data)


def _compile_and_keep(embedder: SentenceTransformerEmbedder, path: Path, announce: Announce) -> Runtime:
    cached, original = _compile(embedder, announce)
    try:
        write_cached(path, cached)
    except OSError as error:
        announce(f"the compiled embedding model cannot be kept in `{path.parent}`: {error.strerror}")
    if cached.refusal:
        announce(_refusal(embedder, cached.refusal))
        return original or open_original(embedder)
    return _runtime_of(cached)


def _refusal(embedder: SentenceTransformerEmbedder, reason: str) -> str:
    return f"the embedding model `{embedder.model.name}` runs through sentence-transformers: {reason}"


def _compile(
    embedder: SentenceTransformerEmbedder, announce: Announce
) -> tuple[CachedModel, TorchRuntime | None]:
    """The compiled model, or why there is none; with the original, if that had to be opened."""
    rows = check_rows(embedder)
    expected, original = shipped_vectors(embedder), None
    if expected is None:
        announce(f"compiling the embedding model `{embedder.model.name}` for this machine, once")
        original = open_original(embedder)
    try:
        if original is not None:
            expected = check_vectors(original, embedder, rows)[: len(rows)]
        graph = _graph(embedder, original, rows)
        return _first_faithful(
            graph, partial(check_vectors, embedder=embedder, rows=rows), expected
        ), original
    except (EmbeddingError, RuntimeError) as error:
        return _without(first_line(error)), original


def _graph(
    embedder: SentenceTransformerEmbedder, original: TorchRuntime | None, rows: Sequence[IntArray]
) -> Any:
    description = embedder.description
    if is_plain_bert(description):
        try:
            return build_bert(description)
        except KeyError as error:
            if original is None:
                raise EmbeddingError(f"there is no weight {error}") from error
    from ragstack.embedding.traced_graph import trace_graph

    original = original or open_original(embedder)
    return trace_graph(original.model, pad(rows[: len(PROBE_TEXTS)], description.padding_id))


def _first_faithful(
    graph: Any, vectors_of: Callable[[Runtime], FloatArray], expected: FloatArray | None
) -> CachedModel:
    """The graph compiled in the quickest precision whose vectors are the original's."""
    assert expected is not None
    cosine = -1.0
    for precision in precisions():
        compiled = compile_graph(graph, precision)
        found = vectors_of(OpenVinoRuntime(compiled))
        cosine = min(
            lowest_cosine(some, expected) for some in (found[: len(expected)], found[len(expected) :])
        )
        if cosine >= PROBE_COSINE:
            data = np.frombuffer(bytearray(export_compiled(compiled)), dtype=np.uint8)
            return CachedModel(precision, cosine, data)
    return _without(f"compiled, its vectors differ (cosine {cosine:.4f})")


def _without(reason: str) -> CachedModel:
    return CachedModel("", -1.0, np.empty(0, dtype=np.uint8), reason)


def check_rows(embedder: SentenceTransformerEmbedder) -> list[IntArray]:
    """The token ids of the probe texts, and of as many of them in a row as the model reads."""
    all_probes, long = " ".join(PROBE_TEXTS), PROBE_TEXTS[0]
    room = min(embedder.max_tokens, _LONG_TEXT_TOKENS) - embedder.tokenizer.special_tokens
    while embedder.tokenizer.count(f"{long} {all_probes}") <= room:
        long = f"{long} {all_probes}"
    return [ids[: embedder.max_tokens] for ids in embedder.tokenizer.model_input([*PROBE_TEXTS, long])]


def check_vectors(
    runtime: Runtime, embedder: SentenceTransformerEmbedder, rows: Sequence[IntArray]
) -> FloatArray:
    """The normalised vectors of the rows in one batch, then of each alone: shape (2 x rows, dimension)."""
    padding_id = embedder.description.padding_id
    skipped = 0 if embedder.description.pools_prompt else 1
    batches = [pad(rows, padding_id, skipped), *(pad([row], padding_id, skipped) for row in rows)]
    vectors = np.concatenate([runtime.run(batch) for batch in batches])[:, : embedder.dimension]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: FloatArray = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return normalised


def shipped_vectors(embedder: SentenceTransformerEmbedder) -> FloatArray | None:
    """The original's vectors of the check texts where the package carries them, shape (rows, dimension)."""
    file = SHIPPED_VECTORS.get(embedder.fingerprint.key)
    if file is None:
        return None
    vectors: FloatArray = np.load(Path(__file__).with_name(file), allow_pickle=False)
    return vectors
