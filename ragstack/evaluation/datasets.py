"""Data sets to evaluate on, read and checked: folders with spans of evidence, and the layout of BEIR.

    span folder   documents/ and questions.jsonl, one object a line:
                  {"id", "question", "evidence": [{"document", "start", "end", "quote"?}], "answer"?,
                   "paragraph"? (a span), "answerable"? (false when the documents do not answer it)}
    BEIR          corpus.jsonl, queries.jsonl, qrels/<split>.tsv (query-id, corpus-id, score)

Not responsible for putting documents into a store (`corpus`) nor for measuring anything. A mistake in a file
is a UsageError that names the file and the line.

Half of the questions may be used to choose constants, the other half to report what they achieve:

    questions with a paragraph   by article: sha256 of the document's name without its suffix, even or odd,
                                 so that no article has questions in both halves (squad)
    ids that are numbers         even or odd id (chroma)
    all others, and BEIR         sha256 of the id, even or odd (scifact)

Even is the half to tune on.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from ragstack.errors import UsageError
from ragstack.evaluation.spans import Span

DOCUMENTS = "documents"
QUESTIONS = "questions.jsonl"
CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
QRELS = "qrels"
DEFAULT_SPLIT = "test"

_HEADER = ("query-id", "corpus-id")


class Layout(StrEnum):
    """How a data set lies on disk, and with it what its gold is."""

    SPANS = "spans"
    BEIR = "beir"


class Half(StrEnum):
    """Which questions of a data set to ask; see the module for the rule."""

    TUNE = "tune"
    REPORT = "report"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what answers it.

    `evidence` are the gold spans and `quotes` their texts where the data set repeats them (same order, "" for
    none). `paragraph` is the whole paragraph in which the evidence lies. `grades` are BEIR's judgements by
    document id, above 0 for relevant. `answers` are texts, any of which is right.
    """

    id: str
    text: str
    evidence: tuple[Span, ...] = ()
    quotes: tuple[str, ...] = ()
    paragraph: Span | None = None
    grades: Mapping[str, int] = field(default_factory=dict)
    answers: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether the documents hold what answers it."""
        return bool(self.evidence) or any(grade > 0 for grade in self.grades.values())


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions over the documents in `folder`; `name` is the folder's own."""

    name: str
    folder: Path
    layout: Layout
    questions: tuple[Question, ...]

    @property
    def answerable(self) -> tuple[Question, ...]:
        """The questions that the documents answer."""
        return tuple(question for question in self.questions if question.answerable)

    def half(self, half: Half) -> Dataset:
        """The data set with the questions of one half only."""
        if half is Half.ALL:
            return self
        by_id = not any(question.paragraph for question in self.questions)
        by_parity = self.layout is Layout.SPANS and all(_is_number(each.id) for each in self.questions)
        kept = [
            question
            for question in self.questions
            if _is_even(question, by_id=by_id, by_parity=by_parity) == (half is Half.TUNE)
        ]
        return replace(self, questions=tuple(kept))

    def first(self, limit: int | None) -> Dataset:
        """The data set with at most `limit` of its questions."""
        return self if limit is None else replace(self, questions=self.questions[:limit])


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _is_even(question: Question, *, by_id: bool, by_parity: bool) -> bool:
    if by_id and by_parity:
        return int(question.id) % 2 == 0
    if by_id or question.paragraph is None:
        return _has_even_hash(question.id)
    return _has_even_hash(PurePosixPath(question.paragraph.document).stem)


def _has_even_hash(name: str) -> bool:
    return hashlib.sha256(name.encode("utf-8")).digest()[-1] % 2 == 0


def load_dataset(folder: Path | str, *, split: str | None = None) -> Dataset:
    """The data set in `folder`, of whichever layout its files show.

    `split` names the judgements of BEIR (`qrels/<split>.tsv`): the only ones there are, else `test`. Raises
    UsageError for a folder of neither layout and for any malformed line.
    """
    path = Path(folder)
    if (path / QUESTIONS).is_file():
        return _load_spans(path)
    if (path / CORPUS).is_file():
        return _load_beir(path, split)
    raise UsageError(
        f"`{path}` is not a data set",
        hint=f"it must hold `{QUESTIONS}` and `{DOCUMENTS}/`, or `{CORPUS}`, `{QUERIES}` and `{QRELS}/`",
    )


# ------------------------------------------------------------------------------ lines of files


@dataclass(frozen=True, slots=True)
class _Line:
    """One JSON object of a file, and where it stands."""

    path: Path
    number: int
    fields: Mapping[str, Any]

    def fail(self, problem: str) -> NoReturn:
        _fail(self.path, self.number, problem)

    def text(self, name: str) -> str:
        """A field that must be text with something in it."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value.strip():
            self.fail(f"`{name}` must be text, not {value!r}")
        return value

    def optional_text(self, name: str) -> str:
        """A field that must be text if it is there; "" if it is not."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            self.fail(f"`{name}` must be text, not {value!r}")
        return value or ""


def _fail(path: Path, number: int, problem: str) -> NoReturn:
    raise UsageError(f"`{path}` line {number}: {problem}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    except FileNotFoundError:
        raise UsageError(f"there is no `{path}`") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not UTF-8: {error.reason}") from error


def _objects(path: Path, id_field: str) -> Iterator[_Line]:
    """The objects of a JSON Lines file; no two may have the same id."""
    seen: set[object] = set()
    for number, line in _lines(path):
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            _fail(path, number, f"not valid JSON: {error.msg} at column {error.colno}")
        if not isinstance(fields, dict):
            _fail(path, number, "not a JSON object")
        parsed = _Line(path, number, fields)
        name = parsed.text(id_field)
        if name in seen:
            parsed.fail(f"`{id_field}` {name!r} occurs a second time")
        seen.add(name)
        yield parsed


# -------------------------------------------------------------------------------- span folders


def _load_spans(folder: Path) -> Dataset:
    documents = folder / DOCUMENTS
    if not documents.is_dir():
        raise UsageError(f"there is no folder `{documents}`")
    questions = tuple(_span_question(line, documents) for line in _objects(folder / QUESTIONS, "id"))
    return _dataset(folder, Layout.SPANS, questions, folder / QUESTIONS)


def _dataset(folder: Path, layout: Layout, questions: Sequence[Question], source: Path) -> Dataset:
    if not questions:
        raise UsageError(f"`{source}` holds no question")
    return Dataset(folder.resolve().name, folder, layout, tuple(questions))


def _span_question(line: _Line, documents: Path) -> Question:
    evidence = line.fields.get("evidence")
    if not isinstance(evidence, list):
        line.fail("`evidence` must be a list of spans, empty for a question without an answer")
    paragraph = line.fields.get("paragraph")
    answer = line.optional_text("answer")
    question = Question(
        id=line.text("id"),
        text=line.text("question"),
        evidence=tuple(_span(line, each, documents) for each in evidence),
        quotes=tuple(_quote(line, each) for each in evidence),
        paragraph=None if paragraph is None else _span(line, paragraph, documents),
        answers=(answer,) if answer else (),
    )
    claimed = line.fields.get("answerable", question.answerable)
    if claimed is not question.answerable:
        line.fail(f"`answerable` is {claimed!r}, but `evidence` has {len(evidence)} spans")
    return question


def _span(line: _Line, value: object, documents: Path) -> Span:
    if not isinstance(value, dict):
        line.fail(f"a span must be an object with `document`, `start` and `end`, not {value!r}")
    name, start, end = value.get("document"), value.get("start"), value.get("end")
    if not isinstance(name, str) or not (documents / name).is_file():
        line.fail(f"there is no document {name!r} in `{DOCUMENTS}/`")
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        line.fail(f"`start` and `end` must be offsets with 0 <= start < end, not {start!r} and {end!r}")
    return Span(unicodedata.normalize("NFC", name), start, end)


def _quote(line: _Line, value: Mapping[str, object]) -> str:
    quote = value.get("quote", "")
    if not isinstance(quote, str):
        line.fail(f"`quote` must be text, not {quote!r}")
    return quote


# ---------------------------------------------------------------------------------------- BEIR


@dataclass(frozen=True, slots=True)
class CorpusDocument:
    """One document of a BEIR corpus."""

    id: str
    title: str
    text: str


def corpus_documents(folder: Path) -> Iterator[CorpusDocument]:
    """The documents of a BEIR corpus, in its order. UsageError for malformed lines and repeated ids."""
    for line in _objects(folder / CORPUS, "_id"):
        title, text = line.optional_text("title"), line.optional_text("text")
        yield CorpusDocument(line.text("_id"), " ".join(title.split()), text)


def _load_beir(folder: Path, split: str | None) -> Dataset:
    texts = {line.text("_id"): line.text("text") for line in _objects(folder / QUERIES, "_id")}
    path = _judgements_file(folder, split)
    grades: dict[str, dict[str, int]] = {}
    for number, query, document, grade in _judgements(path):
        if query not in texts:
            _fail(path, number, f"there is no query {query!r} in `{QUERIES}`")
        grades.setdefault(query, {})[document] = grade
    questions = [Question(name, texts[name], grades=graded) for name, graded in grades.items()]
    return _dataset(folder, Layout.BEIR, questions, path)


def _judgements_file(folder: Path, split: str | None) -> Path:
    found = {path.stem: path for path in sorted((folder / QRELS).glob("*.tsv"))}
    wanted = split or (next(iter(found)) if len(found) == 1 else DEFAULT_SPLIT)
    if wanted not in found:
        there = ", ".join(f"`{name}`" for name in found) or "none"
        raise UsageError(
            f"there is no `{folder / QRELS / wanted}.tsv`", hint=f"splits with judgements: {there}"
        )
    return found[wanted]


def _judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Line number, query id, document id and grade of every judgement; a header is passed over."""
    for number, line in _lines(path):
        cells = tuple(line.rstrip("\r\n").split("\t"))
        if number == 1 and cells[:2] == _HEADER:
            continue
        if len(cells) != 3:
            _fail(path, number, f"must have 3 columns (query-id, corpus-id, score), not {len(cells)}")
        query, document, grade = cells
        try:
            yield number, query, document, int(grade)
        except ValueError:
            _fail(path, number, f"the score must be a whole number, not {grade!r}")
