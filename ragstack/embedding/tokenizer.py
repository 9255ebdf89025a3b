"""Counts and locates the tokens of a model, with the `tokenizers` library alone.

It reads `tokenizer.json` and needs neither transformers nor torch. Sizes, offsets and the token ids that the
model is given all come from here, so that what was counted is what is embedded. It knows nothing of chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragstack.errors import ModelDamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    BoolArray = NDArray[np.bool_]

# Longer texts are cut: the library's time and memory grow faster than the text (64 K characters at a time
# ran at 2.5 MB/s, 1 M characters at 1.6 MB/s and with four times the memory).
PIECE_CHARACTERS = 65_536

# Texts handed to the library at once: enough to keep its threads busy, few enough to bound its memory,
# which is about 350 bytes a token.
BATCH_CHARACTERS = 8 * PIECE_CHARACTERS
_TEXTS_AT_ONCE = 512

# Where a long text is cut: best before a blank line, else before a line, else before a space.
_SEPARATORS = ("\n\n", "\n", " ")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# By code point; the last entry, which is no whitespace, stands for all higher ones.
_WHITESPACE = np.array([chr(code).isspace() for code in range(0x3002)])


# Not frozen: the attributes of the protocol `TokenSpans` are declared settable.
@dataclass(slots=True)
class TokenArrays:
    """The tokens of a text: three int64 arrays of one length, in the order of the text.

    Token `i` covers `text[starts[i]:ends[i]]`; both arrays never decrease. Whitespace at its edges is not
    part of a token, so a token that stands for whitespace alone is empty (`starts[i] == ends[i]`). Tokens may
    share a character: where the model cuts inside one (its bytes, the letters of a ligature), and at the
    beginning, where some tokenizers put a space of their own. `words` numbers the words from 0 without gaps.
    """

    starts: IntArray
    ends: IntArray
    words: IntArray

    def __len__(self) -> int:
        return len(self.starts)


class ModelTokenizer:
    """The tokenizer in a `tokenizer.json`; truncation and padding that it asks for are switched off.

    Special tokens written in a text (`[SEP]`) are read as the characters they are: a document cannot steer
    the model by them. A text longer than `PIECE_CHARACTERS` is tokenized in pieces cut at whitespace, which
    changes the tokens only beside a cut, and then alike for counting and locating. Raises
    `ModelDamagedError` when the file is missing or unreadable.
    """

    def __init__(self, path: Path, *, lowercase: bool = False) -> None:
        self.path = path
        self._tokenizer = _open(path)
        if lowercase:
            _put_lowercase_first(self._tokenizer)

    @cached_property
    def word_limit(self) -> int | None:
        """Normalised characters beyond which a word becomes one unknown token, None for no limit."""
        limit = getattr(self._tokenizer.model, "max_input_chars_per_word", None)
        return None if limit is None else int(limit)

    @cached_property
    def special_tokens(self) -> int:
        """Number of special tokens that the model wants around one text."""
        return int(self._tokenizer.num_special_tokens_to_add(is_pair=False))

    @cached_property
    def leading_special_tokens(self) -> int:
        """How many of the special tokens stand before the text."""
        encoding = self._tokenizer.encode("a", add_special_tokens=True)
        return next((place for place, special in enumerate(encoding.special_tokens_mask) if not special), 0)

    def count(self, text: str) -> int:
        """Number of tokens of `text`, without special tokens."""
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special tokens."""
        counts = [0] * len(texts)
        for batch in _batches(texts):
            for piece, encoding in zip(batch, self._encode([piece.text for piece in batch]), strict=True):
                counts[piece.text_index] += len(encoding)
        return counts

    def spans(self, text: str) -> TokenArrays:
        """Where the tokens of `text` are, in code points of `text`, and to which words they belong."""
        return self.spans_many([text])[0]

    def spans_many(self, texts: Sequence[str]) -> list[TokenArrays]:
        """`spans` of each text, in one batch."""
        parts: list[list[TokenArrays]] = [[] for _ in texts]
        for batch in _batches(texts):
            encodings = self._encode([piece.text for piece in batch], offsets=True)
            for piece, encoding in zip(batch, encodings, strict=True):
                parts[piece.text_index].append(_locate(encoding, piece))
        return [_join(of_text) for of_text in parts]

    def model_input(self, texts: Sequence[str]) -> list[IntArray]:
        """The token ids that the model reads for each text, special tokens included, nothing cut off."""
        rows: list[IntArray] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            batch = [_encodable(text) for text in texts[start : start + _TEXTS_AT_ONCE]]
            rows += [
                np.array(encoding.ids, dtype=np.int64)
                for encoding in self._encode(batch, special_tokens=True)
            ]
        return rows

    def _encode(self, texts: list[str], *, special_tokens: bool = False, offsets: bool = False) -> list[Any]:
        # A single text does not start the library's thread pool, after which a fork would draw its warning.
        if len(texts) == 1:
            return [self._tokenizer.encode(texts[0], add_special_tokens=special_tokens)]
        encode = self._tokenizer.encode_batch if offsets else self._tokenizer.encode_batch_fast
        return list(encode(texts, add_special_tokens=special_tokens))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of the text number `text_index` that begins at character `start`."""

    text_index: int
    start: int
    text: str


def _open(path: Path) -> Any:
    from tokenizers import Tokenizer

    if not path.is_file():
        raise ModelDamagedError(
            f"the model file `{path}` is missing",
            hint="write it with `transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`",
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare `Exception`
        raise ModelDamagedError(f"the model file `{path}` is not a readable tokenizer") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _put_lowercase_first(tokenizer: Any) -> None:
    from tokenizers import normalizers

    steps = [normalizers.Lowercase()]
    if tokenizer.normalizer is not None:
        steps.append(tokenizer.normalizer)
    tokenizer.normalizer = normalizers.Sequence(steps)


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which have no UTF-8 form, replaced one for one (rare: so tried first)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text


def _batches(texts: Sequence[str]) -> Iterator[list[_Piece]]:
    """The pieces of all texts in order, in lists of at most `BATCH_CHARACTERS` (or one piece)."""
    batch: list[_Piece] = []
    size = 0
    for index, text in enumerate(texts):
        for piece in _pieces(index, _encodable(text)):
            if batch and size + len(piece.text) > BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
            batch.append(piece)
            size += len(piece.text)
    if batch:
        yield batch


def _pieces(index: int, text: str) -> Iterator[_Piece]:
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = _cut(text, start)
        yield _Piece(index, start, text[start:end])
        start = end
    yield _Piece(index, start, text[start:])


def _cut(text: str, start: int) -> int:
    """Where the piece from `start` ends: before any whitespace, which tokens of the next word may include."""
    limit = start + PIECE_CHARACTERS
    for separator in _SEPARATORS:
        found = text.rfind(separator, start + PIECE_CHARACTERS // 2, limit)
        if found != -1:
            content = len(text[start:found].rstrip())
            return start + content if content else found
    return limit


def _locate(encoding: Any, piece: _Piece) -> TokenArrays:
    """The tokens of one piece at their places in the whole text, words numbered from 0."""
    count = len(encoding)
    offsets = np.fromiter(chain.from_iterable(encoding.offsets), dtype=np.int64, count=2 * count).reshape(
        -1, 2
    )
    units = np.fromiter(
        (-1 if word is None else word for word in encoding.word_ids), dtype=np.int64, count=count
    )
    is_space = _is_space(piece.text)
    starts, ends = _trim(offsets[:, 0], offsets[:, 1], is_space)
    words = _number_words(starts, ends, units, is_space)
    return TokenArrays(starts + piece.start, ends + piece.start, words)


def _is_space(text: str) -> BoolArray:
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return _WHITESPACE[np.minimum(codes, len(_WHITESPACE) - 1)]


def _trim(starts: IntArray, ends: IntArray, is_space: BoolArray) -> tuple[IntArray, IntArray]:
    """Move both ends of every token inwards over whitespace; what was whitespace alone becomes empty."""
    places = np.arange(len(is_space))
    next_content = np.minimum.accumulate(np.where(is_space, len(is_space), places)[::-1])[::-1]
    after_content = np.maximum.accumulate(np.where(is_space, 0, places + 1))
    trimmed_starts = np.minimum(np.append(next_content, len(is_space))[starts], ends)
    return trimmed_starts, np.maximum(np.insert(after_content, 0, 0)[ends], trimmed_starts)


def _number_words(starts: IntArray, ends: IntArray, units: IntArray, is_space: BoolArray) -> IntArray:
    """Number words: a new one where the tokenizer's own unit changes or whitespace lies between two tokens.

    Units are what the tokenizer split the text into before it looked for tokens. Some (SentencePiece models)
    take the whole text as one unit, so whitespace divides too. -1 is a token of no unit, a word by itself.
    """
    spaces_before = np.insert(np.cumsum(is_space), 0, 0)
    begins = (units[1:] != units[:-1]) | (units[1:] == -1)
    begins |= spaces_before[starts[1:]] > spaces_before[ends[:-1]]
    return np.insert(np.cumsum(begins), 0, 0) if len(starts) else np.zeros(0, dtype=np.int64)


def _join(parts: Sequence[TokenArrays]) -> TokenArrays:
    """The tokens of the pieces of one text, words numbered through."""
    if len(parts) == 1:
        return parts[0]
    words, first_word = [], 0
    for part in parts:
        words.append(part.words + first_word)
        first_word += int(part.words[-1]) + 1 if len(part) else 0
    return TokenArrays(
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.ends for part in parts]),
        np.concatenate(words),
    )
