"""An embedder for tests in which meaning does not matter: quick, exact, the same on every machine.

A text's vector is the hashed bag of its lowercased tokens, so texts that share words are near each other. Its
tokenizer makes tokens of at most six characters and several tokens of longer words, so that tests meet words
that are not single tokens.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ragstack.errors import EmbeddingError
from ragstack.records import Fingerprint

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_WORD = re.compile(r"\w+|[^\w\s]")
_LONGEST_TOKEN = 6


@dataclass(slots=True)
class DeterministicSpans:
    """Token offsets and word numbers; implements `ragstack.records.TokenSpans`."""

    starts: IntArray
    ends: IntArray
    words: IntArray

    def __len__(self) -> int:
        return len(self.starts)


class DeterministicTokenizer:
    """Words and single symbols, words cut every six characters; implements `ragstack.records.Tokenizer`."""

    @property
    def word_limit(self) -> int | None:
        """None: no word is too long."""
        return None

    def count(self, text: str) -> int:
        """Number of tokens of `text`."""
        return len(_token_spans(text))

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text."""
        return [self.count(text) for text in texts]

    def spans(self, text: str) -> DeterministicSpans:
        """Where the tokens of `text` are."""
        table = np.array(_token_spans(text), dtype=np.int64).reshape(-1, 3)
        return DeterministicSpans(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())

    def spans_many(self, texts: Sequence[str]) -> list[DeterministicSpans]:
        """`spans` of each text."""
        return [self.spans(text) for text in texts]


class DeterministicEmbedder:
    """Implements `ragstack.records.Embedder`; another fingerprint for any other argument.

    `special_tokens` are counted around every text, as those of a real model are.
    """

    def __init__(
        self,
        *,
        dimension: int = 64,
        seed: int = 0,
        max_tokens: int = 256,
        query_prompt: str = "",
        document_prompt: str = "",
        special_tokens: int = 2,
    ) -> None:
        self.dimension = dimension
        self.max_tokens = max_tokens
        self.tokenizer = DeterministicTokenizer()
        self.document_overhead = special_tokens + self.tokenizer.count(document_prompt)
        self.embedded_texts: list[str] = []
        self._special_tokens = special_tokens
        self._seed = seed
        self._query_prompt = query_prompt
        self._document_prompt = document_prompt

    @property
    def fingerprint(self) -> Fingerprint:
        """What identifies this embedder: its arguments."""
        return Fingerprint(
            name="deterministic",
            revision=None,
            weights=f"seed {self._seed}",
            tokenizer=f"pieces of {_LONGEST_TOKEN} characters",
            configuration=f"{self._special_tokens} special tokens",
            dimension=self.dimension,
            max_tokens=self.max_tokens,
            pooling="bag of tokens",
            normalised=True,
            query_prompt=self._query_prompt,
            document_prompt=self._document_prompt,
        )

    def embed_documents(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> FloatArray:
        """Vectors of shape (len(texts), dimension); `embedded_texts` keeps what was embedded, in order."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for index, text in enumerate(texts):
            vectors[index] = self._vector(self._document_prompt + text, index)
            self.embedded_texts.append(text)
            if progress is not None:
                progress(1)
        return vectors

    def embed_query(self, text: str) -> FloatArray:
        """Vector of shape (dimension,)."""
        return self._vector(self._query_prompt + text, 0)

    def _vector(self, text: str, index: int) -> FloatArray:
        tokens = [text[start:end].lower() for start, end, _ in _token_spans(text)]
        if len(tokens) + self._special_tokens > self.max_tokens:
            raise EmbeddingError(f"text {index} has more than {self.max_tokens} tokens")
        # The constant keeps a text without tokens from having no direction.
        total = np.full(self.dimension, 0.01)
        for token in tokens:
            total += _direction(token, self._seed, self.dimension)
        vector: FloatArray = (total / np.linalg.norm(total)).astype(np.float32)
        return vector


def _token_spans(text: str) -> list[tuple[int, int, int]]:
    return [
        (start, min(start + _LONGEST_TOKEN, found.end()), word)
        for word, found in enumerate(_WORD.finditer(text))
        for start in range(found.start(), found.end(), _LONGEST_TOKEN)
    ]


@lru_cache(maxsize=65_536)
def _direction(token: str, seed: int, dimension: int) -> NDArray[np.float64]:
    # Not numpy's generator, whose streams may change between versions.
    digest = hashlib.shake_128(f"{seed} {token}".encode(errors="surrogatepass")).digest(2 * dimension)
    return np.frombuffer(digest, dtype="<i2") / 32_768
