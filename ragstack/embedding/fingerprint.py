"""Says which embedder made a vector: hashes of the model's files, and vectors of fixed texts.

The fingerprint identifies a model by content, wherever it was loaded from. Probe vectors compare two ways of
running one model, which no hash can. Which embedder a store was built with is the store's to keep.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ragstack.embedding.description import ModelDescription
from ragstack.embedding.file_hashes import file_sha256
from ragstack.embedding.models import LocatedModel
from ragstack.embedding.weights import check_weights
from ragstack.errors import ModelDamagedError
from ragstack.records import Embedder, Fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

# Fixed for good: stored probe vectors are compared with those of later versions. Between them they hold plain
# prose, accents and capitals, figures, other scripts and symbols.
PROBE_TEXTS = (
    "The committee approved the budget for the new library on Tuesday.",
    "Überprüfung der Größe: naïve café, 3.14159 m² in ŁÓDŹ and İstanbul (v2.0-beta).",
    "def retrieve(query, top_k=5): 検索結果を返す # поиск по базе данных 🔍",
)

# Two runtimes are the same embedder when every probe's vectors have at least this cosine.
PROBE_COSINE = 0.999


def fingerprint_of(model: LocatedModel, description: ModelDescription) -> Fingerprint:
    """The fingerprint of a model; equal keys for equal files, whatever their folder or name.

    Reads every file once, or takes its remembered hash (see `file_hashes` for what that guarantees). Raises
    `ModelDamagedError` when a file is missing or is not what its name says.
    """
    return Fingerprint(
        name=model.name,
        revision=model.revision,
        weights=weights_sha256(description),
        tokenizer=file_sha256(description.tokenizer_file),
        configuration=_canonical_sha256(description.identity()),
        dimension=description.dimension,
        max_tokens=description.max_tokens,
        pooling=description.pooling,
        normalised=True,
        query_prompt=description.query_prompt,
        document_prompt=description.document_prompt,
    )


def weights_sha256(description: ModelDescription) -> str:
    """The sha256 of the weight file; of the list of all files' paths and hashes if there are several."""
    hashes = []
    for file in description.weight_files:
        path = description.folder / file
        check_weights(path)
        try:
            hashes.append([file, file_sha256(path)])
        except OSError as error:
            raise ModelDamagedError(f"the model file `{path}` cannot be read: {error.strerror}") from error
    return hashes[0][1] if len(hashes) == 1 else _canonical_sha256(hashes)


def probe_vectors(embedder: Embedder) -> FloatArray:
    """The vectors that `embedder` gives the probe texts as documents, shape (number of probes, dimension)."""
    return embedder.embed_documents(PROBE_TEXTS)


def lowest_cosine(some: FloatArray, others: FloatArray) -> float:
    """The lowest cosine between a row of `some` and the same row of `others`; -1 if their shapes differ.

    Both are L2-normalised. Two runtimes of one model are the same embedder if it is at least `PROBE_COSINE`.
    """
    if some.shape != others.shape:
        return -1.0
    return float(np.min(np.sum(some.astype(np.float64) * others.astype(np.float64), axis=1)))


def _canonical_sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
