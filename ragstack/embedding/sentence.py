"""The embedder over a sentence-transformers model: from texts to checked, normalised vectors.

It answers every question about the model from its files, and puts the model into memory at the first text.
It guarantees that no text is cut and that no vector leaves unchecked. How the model computes is its
runtime's part.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ragstack.embedding.description import read_description
from ragstack.embedding.fingerprint import fingerprint_of, weights_sha256
from ragstack.embedding.gpu import has_gpu
from ragstack.embedding.models import LocatedModel
from ragstack.embedding.runtime import Runtime, TokenBatch, pad
from ragstack.embedding.tokenizer import ModelTokenizer
from ragstack.errors import EmbeddingError, ModelDamagedError
from ragstack.records import Fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

_logger = logging.getLogger(__name__)

# Fewer texts are embedded by the processor before torch, which a GPU needs, is imported.
GPU_FROM_TEXTS = 128

# From so many on, a second form of the model, which takes a tenth of a second to load, is worth it.
MANY_BATCHES = 16

# The shortest text of a batch has at least this share of the tokens of the longest.
FILLED_AT_LEAST = 0.75

# A vector shorter than this has no direction that could be compared.
_SHORTEST_VECTOR = 1e-12

# First characters of a text; with some of them a tokenizer may join or split the end of the prompt.
_TEXT_BEGINNINGS = ("a", "the", "The", "1", "(", "-", "é", "漢")


class SentenceTransformerEmbedder:
    """An embedder over the model at `model`; implements `ragstack.records.Embedder`.

    Constructing it reads the model's configuration only. The model is loaded at the first text to embed,
    once, from whichever thread comes first; the files are then verified again. Many texts at once are
    embedded on a GPU if there is one. `announce` is told when the model is not run as usual. Raises
    `EmbeddingError` or one of its subclasses when the model cannot be used.
    """

    def __init__(
        self,
        model: LocatedModel,
        *,
        announce: Callable[[str], None] | None = None,
        open_runtime: RuntimeOpener | None = None,
    ) -> None:
        self.model = model
        self.description = read_description(model.folder)
        self._announce = announce or _logger.warning
        self._open_runtime = open_runtime or _open_compiled
        self._opened: Runtime | None = None
        self._on_gpu: Runtime | None = None
        self._may_use_gpu = open_runtime is None
        self._opening = threading.Lock()

    def prepare(self) -> None:
        """Load the model, so that the first question need not wait for it; raises as embedding does.

        The tokenizer is left to whoever asks: it loads in a third of the time, while the model is read.
        """
        self._runtime(1)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What identifies this embedder."""
        return fingerprint_of(self.model, self.description)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.description.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special tokens and prompt included."""
        return self.description.max_tokens

    @cached_property
    def document_overhead(self) -> int:
        """Tokens added to every document text: the special tokens and at most so many for the prompt."""
        return self.tokenizer.special_tokens + self._prompt_tokens(self.description.document_prompt)

    @cached_property
    def tokenizer(self) -> ModelTokenizer:
        """The tokenizer that sizes are measured with, and that makes the model's input."""
        return ModelTokenizer(self.description.tokenizer_file, lowercase=self.description.lowercases)

    def embed_documents(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> FloatArray:
        """L2-normalised float32 vectors of shape (len(texts), dimension), in the order of `texts`.

        `progress` is told how many more texts are done. Raises `EmbeddingError` naming the text's number
        (from 0) when a text is longer than the model reads, or when its vector is missing, of another
        length, not finite or zero; nothing is returned then.
        """
        return self._embed(texts, self.description.document_prompt, progress)

    def embed_query(self, text: str) -> FloatArray:
        """L2-normalised float32 vector of shape (dimension,), made with the query prompt; raises likewise."""
        vector: FloatArray = self._embed([text], self.description.query_prompt, None)[0]
        return vector

    def _embed(self, texts: Sequence[str], prompt: str, progress: Callable[[int], None] | None) -> FloatArray:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        tokens = self.tokenizer.model_input([prompt + text for text in texts])
        self._refuse_long(tokens)
        runtime = self._runtime(len(texts))
        skipped = self._skipped_tokens(prompt)
        batches = list(_batches([len(ids) for ids in tokens], runtime.batch_tokens))
        padding_id = self.description.padding_id
        padded = (pad([tokens[row] for row in rows], padding_id, skipped) for rows in batches)
        # Closed at once when a check fails: until then nobody else could run many batches.
        with contextlib.closing(_outputs(runtime, padded, len(batches))) as outputs:
            for rows, output in zip(batches, outputs, strict=True):
                vectors[rows] = self._checked(output, rows)
                if progress is not None:
                    progress(len(rows))
        return vectors

    def _refuse_long(self, tokens: Sequence[IntArray]) -> None:
        for index, ids in enumerate(tokens):
            if len(ids) > self.max_tokens:
                raise EmbeddingError(
                    f"text {index} has {len(ids)} tokens, and the embedding model reads {self.max_tokens}",
                    hint="shorten it: a text is never cut silently",
                )

    def _checked(self, output: FloatArray, rows: Sequence[int]) -> FloatArray:
        """The normalised vectors of one batch, of the texts with these numbers."""
        if output.ndim != 2 or output.shape[1] != self.description.output_dimension:
            raise EmbeddingError(
                f"the embedding model gave vectors of shape {output.shape} for text {rows[0]} and others, "
                f"not of length {self.description.output_dimension}"
            )
        if len(output) != len(rows):
            first_without = rows[min(len(output), len(rows) - 1)]
            raise EmbeddingError(
                f"the embedding model gave {len(output)} vectors for {len(rows)} texts, "
                f"none for text {first_without}"
            )
        used = output[:, : self.dimension].astype(np.float64)
        lengths = np.linalg.norm(used, axis=1)
        _refuse_any(np.logical_not(np.isfinite(used).all(axis=1)), rows, "a vector that is not finite")
        _refuse_any(lengths < _SHORTEST_VECTOR, rows, "a zero vector")
        normalised: FloatArray = (used / lengths[:, np.newaxis]).astype(np.float32)
        return normalised

    def _runtime(self, texts: int) -> Runtime:
        with self._opening:
            if texts >= GPU_FROM_TEXTS and self._may_use_gpu and has_gpu():
                on_gpu = self._gpu_runtime()
                if on_gpu is not None:
                    return on_gpu
            if self._opened is None:
                self._verify()
                self._opened = self._open_runtime(self)
            return self._opened

    def _gpu_runtime(self) -> Runtime | None:
        """The model on the GPU; None, and not asked for again, if torch does not compute there after all."""
        if self._on_gpu is None:
            from ragstack.embedding.compiled import open_original

            self._verify()
            original = open_original(self, device=None)
            self._may_use_gpu = original.is_on_gpu
            if not original.is_on_gpu:
                self._announce("torch does not use the GPU of this machine; embedding on the processor")
                return None
            self._on_gpu = original
        return self._on_gpu

    def _verify(self) -> None:
        """Raise `ModelDamagedError` unless the weights are still the ones that the fingerprint names."""
        self.model.verify()
        if weights_sha256(self.description) != self.fingerprint.weights:
            raise ModelDamagedError(
                f"the weights in `{self.model.folder}` have changed since the model was opened",
                hint="start again to use the new ones",
            )

    def _prompt_tokens(self, prompt: str) -> int:
        """Tokens that a prompt adds at most; where it meets a text, two tokens may become one or three."""
        if not prompt:
            return 0
        with_prompt = self.tokenizer.count_many([prompt + beginning for beginning in _TEXT_BEGINNINGS])
        alone = self.tokenizer.count_many(_TEXT_BEGINNINGS)
        added = (more - less for more, less in zip(with_prompt, alone, strict=True))
        return max(self.tokenizer.count(prompt), *added)

    def _skipped_tokens(self, prompt: str) -> int:
        """Tokens at the beginning that are not pooled, for models that leave the prompt out."""
        if not prompt or self.description.pools_prompt:
            return 0
        return self.tokenizer.count(prompt) + self.tokenizer.leading_special_tokens


RuntimeOpener = Callable[[SentenceTransformerEmbedder], Runtime]


def _open_compiled(embedder: SentenceTransformerEmbedder) -> Runtime:
    from ragstack.embedding.compiled import open_runtime

    return open_runtime(embedder, embedder._announce)


def _outputs(
    runtime: Runtime, batches: Iterator[TokenBatch], count: int
) -> Generator[FloatArray, None, None]:
    yield from runtime.run_each(batches) if count >= MANY_BATCHES else map(runtime.run, batches)


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of the texts, longest first, in batches of at most `batch_tokens` tokens when filled up.

    Sorting keeps the filling small; the longest come first so that memory runs out at once or never. A batch
    also ends where its texts would be filled up by more than a third, which costs more than another batch.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        rows = order[start : start + max(1, batch_tokens // longest)]
        alike = sum(FILLED_AT_LEAST * longest <= lengths[row] for row in rows)
        yield rows[: max(1, alike)]
        start += max(1, alike)


def _refuse_any(wrong: NDArray[np.bool_], rows: Sequence[int], what: str) -> None:
    if wrong.any():
        raise EmbeddingError(f"the embedding model gave {what} for text {rows[int(np.argmax(wrong))]}")
