"""The sample corpus in `data/`: is it what its README says, and do all gold spans still hold their quotes?

It guards the data, not the readers: when a reader changes the text it extracts, the failing test names the
quotes whose offsets have to be written anew.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"
DOCUMENTS = DATA / "documents"
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]
ANSWERABLE = [question for question in QUESTIONS if question.get("answerable", True)]
UNANSWERABLE = [question for question in QUESTIONS if not question.get("answerable", True)]
FILES = sorted(path for path in DOCUMENTS.rglob("*") if path.is_file())
PLAIN_FILES = [path for path in FILES if path.suffix in {".md", ".txt"}]


@cache
def text_of(document: str) -> str:
    path = DOCUMENTS / document
    if path in PLAIN_FILES:
        return path.read_bytes().decode("utf-8")
    return extracted_text_of(document)


def extracted_text_of(document: str) -> str:
    from ragstack.loading.readers import extract

    return extract((DOCUMENTS / document).read_bytes(), Path(document).name).text


def test_there_are_at_least_fifteen_documents_in_four_formats():
    formats = Counter(path.suffix for path in FILES)

    assert sum(formats.values()) >= 15
    assert set(formats) == {".txt", ".md", ".html", ".pdf"}
    assert min(formats.values()) >= 3


def test_there_are_forty_answerable_and_ten_unanswerable_questions():
    assert len(ANSWERABLE) == 40
    assert len(UNANSWERABLE) == 10


def test_ids_and_questions_are_unique():
    assert len({question["id"] for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: question["id"])
def test_every_quote_is_the_text_at_its_offsets(question):
    assert question["answer"].strip()
    assert question["evidence"]
    for span in question["evidence"]:
        assert set(span) == {"document", "start", "end", "quote"}
        assert span["quote"].strip()
        assert text_of(span["document"])[span["start"] : span["end"]] == span["quote"]


@pytest.mark.parametrize("question", UNANSWERABLE, ids=lambda question: question["id"])
def test_an_unanswerable_question_has_neither_evidence_nor_answer(question):
    assert question["evidence"] == []
    assert "answer" not in question


def test_evidence_lies_in_every_format_and_often_in_pages_and_pdfs():
    formats = [{Path(span["document"]).suffix for span in question["evidence"]} for question in ANSWERABLE]

    assert set().union(*formats) == {".txt", ".md", ".html", ".pdf"}
    assert sum(bool(suffixes & {".html", ".pdf"}) for suffixes in formats) >= 8
    assert sum(len(question["evidence"]) > 1 for question in ANSWERABLE) >= 8


@pytest.mark.parametrize("path", PLAIN_FILES, ids=lambda path: path.name)
def test_plain_files_read_the_same_everywhere(path):
    data = path.read_bytes()

    assert not data.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in data
    assert unicodedata.is_normalized("NFC", data.decode("utf-8"))


@pytest.mark.parametrize("path", PLAIN_FILES, ids=lambda path: path.name)
def test_the_reader_keeps_plain_files_unchanged(path):
    assert extracted_text_of(path.relative_to(DOCUMENTS).as_posix()) == path.read_text(encoding="utf-8")


def test_the_draft_is_a_near_duplicate_of_the_onboarding_guide():
    draft, guide = (
        (DOCUMENTS / "handbook" / name).read_text(encoding="utf-8").splitlines()
        for name in ("onboarding-guide-draft.md", "onboarding-guide.md")
    )

    assert 0.8 < SequenceMatcher(None, draft, guide).ratio() < 1.0


@pytest.mark.parametrize("boilerplate", ["wikiSettings", "breadcrumb", "border-collapse"])
def test_boilerplate_of_a_page_is_not_part_of_its_text(boilerplate):
    page = "context/retrieval-augmented-generation.html"

    assert boilerplate in (DOCUMENTS / page).read_text(encoding="utf-8")
    assert boilerplate not in text_of(page)
