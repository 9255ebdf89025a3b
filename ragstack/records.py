"""The frozen records that flow between the stages, and the protocols by which stages meet.

Everything that crosses a package border is defined here and nowhere else; no record does any work beyond
answering questions about itself. Only the standard library is imported at run time.

Offsets are always Unicode code points into `Document.text`, `start` inclusive and `end` exclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Generator as Yielding
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]


# --------------------------------------------------------------------------- loading


class ElementKind(StrEnum):
    """What a stretch of a document is to its author."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    CODE = "code"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Element:
    """One structural unit `[start, end)` of a document; elements are sorted and do not overlap.

    `level` is 1 to 6 for headings and 0 otherwise; `title` is a heading's text without its markup.
    """

    kind: ElementKind
    start: int
    end: int
    level: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Landmark:
    """From `start` on, the text lies on this page (slide, sheet, cell ...); `kind` says which."""

    start: int
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one file (or of one string), with its structure and a map back to the original.

    `text` holds neither NUL nor lone surrogates. `lines_are_original` is true when line n of `text` is line
    n of the file, so that a citation may name it. `reader` and `reader_version` say what extracted the text:
    a newer reader re-extracts an unchanged file.
    """

    text: str
    media_type: str
    reader: str
    reader_version: int
    title: str | None = None
    elements: tuple[Element, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    lines_are_original: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileStat:
    """What the file system says of a file, to tell an unchanged one without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where a span lies in the original, in the words of its reader: a page, a slide, lines, a section.

    `headings` are the titles of the sections that enclose the beginning of the span, outermost first.
    """

    landmark_kind: str | None = None
    first_landmark: str | None = None
    last_landmark: str | None = None
    first_line: int | None = None
    last_line: int | None = None
    headings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.landmark_kind is not None and self.first_landmark is not None:
            parts.append(_range(self.landmark_kind, self.first_landmark, self.last_landmark))
        if self.first_line is not None:
            parts.append(_range("line", str(self.first_line), str(self.last_line or self.first_line)))
        return ", ".join(parts)


def _range(word: str, first: str, last: str | None) -> str:
    if last is None or last == first:
        return f"{word} {first}"
    sheet, mark, _ = first.rpartition("!")
    if mark and last.startswith(sheet + mark):  # rows of one sheet: `rows Stock!2-9`
        last = last[len(sheet + mark) :]
    return f"{word}s {first}-{last}"


# -------------------------------------------------------------------------- chunking


@dataclass(frozen=True, slots=True)
class ChunkerSettings:
    """How documents are cut; fixed for a generation of the index.

    `size` and `overlap` are tokens of the embedder. `size` counts the chunk's own text: the special tokens,
    the prompt and the title and headings put before it come on top, and the chunker shortens a window when
    all of them together would pass what the embedder reads.
    """

    size: int
    overlap: int
    max_characters: int = 4_000
    max_context_tokens: int = 48
    version: int = 2


@dataclass(frozen=True, slots=True)
class Chunk:
    """One window of a document: exactly `document.text[start:end]`.

    `context` is the title and heading path that is put before the text when it is embedded; it is not part
    of the span. `embedding_text` is what the embedder is given (context, text, over-long words cut).
    `tokens` counts the tokens of the text alone.
    """

    start: int
    end: int
    text: str
    tokens: int
    headings: tuple[str, ...] = ()
    context: str = ""
    embedding_text: str = ""


class TokenSpans(Protocol):
    """The tokens of a text without special tokens, as three arrays of one length (sorted by offset)."""

    @property
    def starts(self) -> IntArray:
        """Where each token begins."""
        ...

    @property
    def ends(self) -> IntArray:
        """Where each token ends, exclusive."""
        ...

    @property
    def words(self) -> IntArray:
        """The number of the word that each token belongs to, never falling."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Counts and locates the tokens of a model. Special tokens are never included.

    `word_limit` is the number of normalised characters beyond which the tokenizer turns a word into one
    unknown token (WordPiece: 100), or None when it has no such limit.
    """

    @property
    def word_limit(self) -> int | None:
        """Longest word in normalised characters, None for no limit."""
        ...

    def count(self, text: str) -> int:
        """Number of tokens of `text`."""
        ...

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, in one batch."""
        ...

    def spans(self, text: str) -> TokenSpans:
        """Character offsets and word numbers of the tokens of `text`."""
        ...


# ------------------------------------------------------------------------- embedding


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies an embedder. `key` decides; `name` and `revision` are information only.

    Two embedders are the same when their files, geometry and prompts agree, wherever they were loaded from.
    """

    name: str
    revision: str | None
    weights: str
    tokenizer: str
    configuration: str
    dimension: int
    max_tokens: int
    pooling: str
    normalised: bool
    query_prompt: str
    document_prompt: str

    @property
    def key(self) -> str:
        """Hex sha256 over everything but the name and the revision."""
        import hashlib
        import json

        identity = [
            self.weights, self.tokenizer, self.configuration, self.dimension, self.max_tokens,
            self.pooling, self.normalised, self.query_prompt, self.document_prompt,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into L2-normalised float32 vectors, and says what it is.

    `document_overhead` is the number of tokens that it adds to a document's text (special tokens and the
    document prompt); a text of more than `max_tokens - document_overhead` tokens would be truncated, so the
    chunker never makes one.
    """

    @property
    def fingerprint(self) -> Fingerprint:
        """What identifies this embedder."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special tokens and prompt included."""
        ...

    @property
    def document_overhead(self) -> int:
        """Tokens added to every document text."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that sizes are measured with."""
        ...

    def embed_documents(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> FloatArray:
        """Vectors of shape (len(texts), dimension); `progress` is told how many more texts are done."""
        ...

    def embed_query(self, text: str) -> FloatArray:
        """Vector of shape (dimension,), made with the query prompt."""
        ...


# ----------------------------------------------------------------- store and retrieval


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents a question may be answered from; all given conditions must hold, all by default.

    `paths` are globs over the document's path within its source (`notes/**/*.md`), `media_types` are full
    types or their main or sub part (`text/html`, `pdf`), `since` and `until` bound the modification time,
    `metadata` are pairs that must be equal, `documents` are document ids.
    """

    paths: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    documents: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every document passes."""
        return not (
            self.paths or self.media_types or self.since or self.until or self.metadata or self.documents
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that one kind of search found: its id, its rank (from 1) and that search's own score."""

    chunk_id: int
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as the store holds it, with what is known of its document."""

    chunk_id: int
    document_id: int
    position: int
    start: int
    end: int
    text: str
    tokens: int
    headings: tuple[str, ...]
    path: str
    title: str | None
    media_type: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class TermCounts:
    """How common the terms of a question are: of `chunks` chunks, so many hold each term."""

    chunks: int
    holding: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ScoreShares:
    """What each kind of evidence adds to the score of a hit.

    `meaning` comes from the cosine, `words` from BM25, `nearness` from terms of the question that stand
    together in a sentence, `adjacency` from those that stand side by side as in the question, `coverage` from
    how many of its rare terms are there at all, `related` from other words that mean nearly the same.
    """

    meaning: float
    words: float
    nearness: float
    adjacency: float
    coverage: float = 0.0
    related: float = 0.0

    @property
    def total(self) -> float:
        """The score."""
        return self.meaning + self.words + self.nearness + self.adjacency + self.coverage + self.related


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk: what was found, where, and by which evidence. Unpacks as `(text, score)`.

    `score` is the fused score (higher is better, comparable within one query only) and the sum of `shares`;
    `dense_score` is the cosine of question and chunk; `lexical_score` is BM25 (higher is better) as retrieval
    computes it. A rank is None when that search did not return the chunk; the scores are known all the same.
    A reranker changes the order and hands the fused scores out anew: `score` is then not the sum of `shares`.
    `matched` are the terms of the question that the chunk holds, `related` pairs of a term that it lacks and
    the word that it holds in its place. `score_rank` is its place by score alone: a hit stands further down
    when better ones have given most of its text. `beside` is the chunk id of a better hit near it in the same
    document, which lends it a share of its score: `lent`. The score of what is there for that alone is 0.
    """

    chunk: StoredChunk
    score: float
    dense_rank: int | None = None
    dense_score: float | None = None
    lexical_rank: int | None = None
    lexical_score: float | None = None
    shares: ScoreShares | None = None
    matched: tuple[str, ...] = ()
    score_rank: int | None = None
    related: tuple[tuple[str, str], ...] = ()
    lent: float = 0.0
    beside: int | None = None

    def __iter__(self) -> Iterator[str | float]:
        yield self.chunk.text
        yield self.score

    @property
    def worth(self) -> float:
        """By what it competes for a place in a prompt: its score, or the lent one if that is higher."""
        return max(self.score, self.lent)

    @property
    def text(self) -> str:
        """The chunk's text, an exact slice of its document."""
        return self.chunk.text


class ChunkSearch(Protocol):
    """The searching side of a store, which retrieval is given; every call sees one committed state."""

    def dense_candidates(self, vector: FloatArray, limit: int, where: Filter) -> list[Candidate]:
        """The chunks whose vectors have the highest inner product with `vector`, best first."""
        ...

    def lexical_candidates(self, question: str, limit: int, where: Filter) -> list[Candidate]:
        """The chunks that match words of the question best by BM25, best first; never a syntax error."""
        ...

    def term_counts(self, question: str) -> TermCounts:
        """How many chunks hold each of the terms that the question is searched by, in its order."""
        ...

    def cosines(self, vector: FloatArray, chunk_ids: Sequence[int]) -> dict[int, float]:
        """Inner product of `vector` with the stored vectors of these chunks."""
        ...

    def chunks(self, chunk_ids: Iterable[int]) -> dict[int, StoredChunk]:
        """The chunks of these ids; ids that are gone are left out."""
        ...

    def chunk_ids_around(self, chunk: StoredChunk, distance: int) -> dict[int, int]:
        """By position: the chunk and those at most so many places before and after it in its document."""
        ...

    def section_chunk_ids(self, chunk: StoredChunk, limit: int) -> list[int]:
        """The chunk's section: the `limit` chunks nearest to it under its headings, itself among them.

        Also the first one of the section and of those around it; in order. Empty where there are no headings.
        """
        ...


class Reranker(Protocol):
    """A model that reads a question and a passage together."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, higher is better."""
        ...

    @property
    def note(self) -> str:
        """What the last question took, in memory and time, in words for the user."""
        ...


class TextSource(Protocol):
    """Reads spans of stored documents, which packing and answering are given."""

    def read_text(self, document_id: int, start: int, end: int) -> str:
        """Exactly `text[start:end]` of the document, without reading the rest of it."""
        ...

    def locate(self, document_id: int, start: int, end: int) -> Location:
        """Page and lines of a span."""
        ...


@dataclass(frozen=True, slots=True)
class SelectedDocument:
    """A document that a filter lets through, without its text, which has so many `characters`."""

    document_id: int
    path: str
    title: str | None
    characters: int
    content_hash: str


class DocumentSource(TextSource, Protocol):
    """Lists documents and their structure beside reading them, for strategies that read without searching."""

    def selected_documents(self, where: Filter) -> list[SelectedDocument]:
        """The documents that pass the filter, in a fixed order."""
        ...

    def elements(self, document_id: int) -> tuple[Element, ...]:
        """The structural units of a document, sorted."""
        ...

    def landmarks(self, document_id: int, start: int, end: int) -> tuple[Landmark, ...]:
        """The page (or the like) that a span begins on, if any, and those that begin in it, in order."""
        ...


# --------------------------------------------------------------------------- context


class DropReason(StrEnum):
    """Why a hit is not in the prompt."""

    NO_ROOM = "no room"
    NOT_WORTH_ITS_TOKENS = "not worth its tokens"
    ALREADY_COVERED = "already covered"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near-duplicate"


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of one document that goes into the prompt: one or more hits, merged by offsets.

    `text` is `document.text[start:end]`, exactly; `tokens` are the reader's; `chunk_ids` are the hits that
    it is made of; `also_in` names places that hold the same text, or nearly, and are cited with it.
    """

    document_id: int
    path: str
    title: str | None
    start: int
    end: int
    text: str
    tokens: int
    score: float
    headings: tuple[str, ...] = ()
    chunk_ids: tuple[int, ...] = ()
    content_hash: str = ""
    location: Location = field(default_factory=Location)
    also_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerTerm:
    """One line of the ledger: a number of tokens, and why it is that many."""

    name: str
    tokens: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one hit: kept at a marginal cost, or dropped for a reason. `beside`: see `Hit`."""

    chunk_id: int
    path: str
    start: int
    end: int
    score: float
    marginal_tokens: int
    kept: bool
    reason: str
    beside: int | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every term of the budget of one prompt, which limit bound it, and every decision taken.

    `limits` are upper bounds on the prompt, of which the smallest binds; `charges` are taken from it; what is
    left is `passage_budget`. `passage_tokens` were spent. All in tokens of the reader.
    """

    reader: str
    limits: tuple[LedgerTerm, ...]
    charges: tuple[LedgerTerm, ...]
    reserve: int
    passage_budget: int
    passage_tokens: int
    decisions: tuple[Decision, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def binding(self) -> LedgerTerm:
        """The limit that decided how large the prompt may be."""
        return min(self.limits, key=lambda term: term.tokens)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the whole prompt: charges and passages."""
        return sum(term.tokens for term in self.charges) + self.passage_tokens


@dataclass(frozen=True, slots=True)
class DocumentSpan:
    """`[start, end)` of a document."""

    document_id: int
    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReadingPass:
    """One prompt that the reader was given, what for, and the text that was in it.

    `prompt_tokens` are those of the whole prompt, frame included.
    """

    purpose: str
    prompt_tokens: int
    spans: tuple[DocumentSpan, ...]


@dataclass(frozen=True, slots=True)
class Omission:
    """A document of which only so many of its characters could be read."""

    path: str
    read: int
    characters: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How a context strategy came to an answer: every prompt on the way, the one that was answered last.

    `documents` were selected (0 when a search decided); `omitted` lists those that did not fit although the
    strategy is to read all text.
    """

    strategy: str
    passes: tuple[ReadingPass, ...]
    documents: int = 0
    omitted: tuple[Omission, ...] = ()

    @property
    def tokens_read(self) -> int:
        """Tokens of all prompts together."""
        return sum(each.prompt_tokens for each in self.passes)

    @property
    def largest_prompt(self) -> int:
        """Tokens of the longest prompt: what memory must hold at one time."""
        return max((each.prompt_tokens for each in self.passes), default=0)


@dataclass(frozen=True, slots=True)
class ReadingCost:
    """What a reading takes of the reader: prompts and tokens as counted, memory and time by its model.

    `cache_bytes` is the key-value cache of the longest prompt, `peak_bytes` and `peak_bytes_upper` all memory
    of the device while it is read, weights included, `prefill_seconds` the time to read all prompts. They are
    None where nothing is known of them; `reason` says why, or what they were computed for.
    """

    prompts: int
    tokens_read: int
    largest_prompt: int
    reason: str
    cache_bytes: int | None = None
    peak_bytes: int | None = None
    peak_bytes_upper: int | None = None
    prefill_seconds: float | None = None


# -------------------------------------------------------------------------- answering


IDENTITY_DIGITS = 12
"""Hex digits of a content hash in a citation's identity: 48 bits tell the versions of one document apart."""


@dataclass(frozen=True, slots=True)
class Citation:
    """`[number]` in an answer: the span of a packed passage that a statement rests on."""

    number: int
    passage: Passage
    start: int
    end: int
    quote: str
    location: Location

    @property
    def identity(self) -> str:
        """`12@3fa9c1d2e0b4:1034-1150`: document, beginning of its content hash, characters."""
        passage = self.passage
        return f"{passage.document_id}@{passage.content_hash[:IDENTITY_DIGITS]}:{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat: `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text as a language model writes it; the last piece also says how it ended.

    `finish_reason` is the model's own word: `stop`, or `length` when it ran out of tokens. `prompt_tokens`
    and `answer_tokens` are what it counted itself, None where it does not say.
    """

    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class GeneratorDescription:
    """What a generator says of itself before it is given anything to read.

    `target` is what `context.reader_plans` is asked about: it knows window, tokenizer and architecture.
    `model` is the name that requests carry, `endpoint` the address without any key, empty for a model in
    this process.
    """

    target: str
    model: str
    endpoint: str

    @property
    def name(self) -> str:
        """For people: `llama3.2 at http://localhost:11434`."""
        return " at ".join(part for part in (self.model, self.endpoint) if part)


class Generator(Protocol):
    """A language model that reads a prompt and writes an answer, piece by piece."""

    @property
    def description(self) -> GeneratorDescription:
        """What it is, without asking anybody."""
        ...

    def prepare(self) -> None:
        """Make it ready: after this a window is allocated, and an answer is timed without loading.

        Raises GenerationError when it cannot be had at all.
        """
        ...

    def count_prompt(self, messages: Sequence[Message]) -> int | None:
        """Tokens of the whole prompt after its chat template; None where that cannot be known."""
        ...

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> Yielding[Piece, None, None]:
        """Write an answer of at most `max_tokens` tokens; closing the stream stops the model.

        Raises GenerationError when it fails, also half way; what was written before stays valid.
        """
        ...

    @property
    def peak_memory(self) -> int | None:
        """Bytes that a model in this process has taken at most; None for a server's."""
        ...

    def close(self) -> None:
        """Release connections or memory."""
        ...


@dataclass(frozen=True, slots=True)
class Generation:
    """How a language model wrote one answer: predicted and measured, and what went wrong.

    Tokens are the model's; None where nobody counted. `seconds_to_first_token` is from the request to the
    first text. `error` is empty unless the answer is missing or cut short by a failure; `hint` says what to
    do then. `memory` is bytes, of a model in this process.
    """

    model: str
    endpoint: str
    prompt_tokens: int | None = None
    predicted_prompt_tokens: int | None = None
    answer_tokens: int | None = None
    seconds_to_first_token: float | None = None
    predicted_seconds_to_first_token: float | None = None
    seconds: float = 0.0
    tokens_per_second: float | None = None
    predicted_tokens_per_second: float | None = None
    memory: int | None = None
    predicted_memory: int | None = None
    prediction: str = ""
    finish_reason: str | None = None
    error: str = ""
    hint: str = ""


class SupportState(StrEnum):
    """What checking a sentence of a generated answer against its sources came to."""

    SUPPORTED = "supported"
    UNSUPPORTED = "not supported by its source"
    UNKNOWN_SOURCE = "cites no source of the prompt"
    WRONG_QUOTE = "quotes what its source does not say"
    UNCITED = "cites nothing"


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence `[start, end)` of a generated answer, the numbers it cites, and whether they bear it out.

    `unknown` are the cited numbers that no source of the prompt has. `support` is in 0 to 1 and comes from
    the best sentence of the cited passages.
    """

    start: int
    end: int
    numbers: tuple[int, ...]
    unknown: tuple[int, ...]
    support: float
    state: SupportState


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer, as a conversation remembers them.

    `standalone` is the question as it was searched for, which a follow-up alone would not say.
    """

    question: str
    answer: str
    standalone: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, what it cites, and how its prompt came about.

    `found` is false when the store holds nothing relevant; `text` then says so. `passages` are numbered from
    1 in the order of the prompt; only they can be cited. `reading` is every prompt that led to it, `cost`
    what they take of the reader.
    `standalone` is what was searched for, if that is not the question. `sentences` and `generation` are
    there when a language model wrote the answer.
    """

    question: str
    text: str
    found: bool
    passages: tuple[Passage, ...]
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    ledger: Ledger
    generator: str = "extractive"
    warnings: tuple[str, ...] = ()
    reading: Reading | None = None
    cost: ReadingCost | None = None
    standalone: str = ""
    sentences: tuple[CheckedSentence, ...] = ()
    generation: Generation | None = None


# -------------------------------------------------------------------------- ingestion


class FileState(StrEnum):
    """What an ingest finds a file to be."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    RENAMED = "renamed"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file in an ingest."""

    path: str
    state: FileState
    reason: str = ""
    chunks: int = 0
    embedded: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did: one outcome a file that is not simply unchanged, and totals."""

    outcomes: tuple[FileOutcome, ...]
    unchanged: int
    skipped: tuple[tuple[str, str], ...]
    chunks: int
    embedded: int
    reused: int
    kept: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False
    dry_run: bool = False
    seconds: float = 0.0

    def count(self, state: FileState) -> int:
        """Number of files found to be in this state."""
        if state is FileState.UNCHANGED:
            return self.unchanged
        return sum(1 for outcome in self.outcomes if outcome.state is state)

    @property
    def failed(self) -> tuple[FileOutcome, ...]:
        """The files that could not be read, each with its reason."""
        return tuple(outcome for outcome in self.outcomes if outcome.state is FileState.FAILED)
