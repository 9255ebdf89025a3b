"""Reading data sets of both layouts, the mistakes that are told, and the two halves."""

import hashlib
from pathlib import Path

import pytest
from evaluation_data import QUESTIONS, span_of

from ragstack.errors import UsageError
from ragstack.evaluation.datasets import Half, Layout, corpus_documents, load_dataset
from ragstack.evaluation.spans import Span

SHARED = Path(__file__).parents[2] / ".." / "shared" / "datasets"


def test_a_span_folder_gives_questions_with_evidence_paragraph_and_answer(span_folder):
    dataset = load_dataset(span_folder())

    first = dataset.questions[0]
    assert (dataset.name, dataset.layout) == ("harbour", Layout.SPANS)
    assert first.text == "Which ships need a pilot?"
    assert first.evidence == (Span("harbour.txt", 42, 73),)
    assert first.quotes == ("Ships longer than ninety metres",)
    assert first.paragraph == Span("harbour.txt", 42, 87)
    assert first.answers == ("ships longer than ninety metres",)


def test_questions_that_the_documents_do_not_answer_are_kept_apart(span_folder):
    dataset = load_dataset(span_folder())

    assert [question.id for question in dataset.questions] == ["1", "2", "3"]
    assert [question.id for question in dataset.answerable] == ["1", "2"]


def test_a_beir_folder_gives_questions_with_grades(beir_folder):
    dataset = load_dataset(beir_folder())

    assert dataset.layout is Layout.BEIR
    assert {question.id: dict(question.grades) for question in dataset.questions} == {
        "q1": {"MED/10": 1},
        "q2": {"a:b": 2, "7": 0},
    }
    assert dataset.questions[0].text == "What does the moon pull?"
    assert all(question.answerable for question in dataset.questions)


def test_a_query_without_a_relevant_document_is_not_answerable(beir_folder):
    dataset = load_dataset(beir_folder(splits={"test": ["q1\tMED/10\t0", "q2\ta:b\t1"]}))

    assert [question.id for question in dataset.answerable] == ["q2"]


def test_documents_of_a_beir_corpus_keep_their_ids_and_titles(beir_folder):
    documents = list(corpus_documents(beir_folder()))

    assert [document.id for document in documents] == ["MED/10", "a:b", "7"]
    assert documents[0].title == "Tides"
    assert documents[2].text == ""


def test_the_split_is_the_one_asked_for_the_only_one_or_test(beir_folder):
    folder = beir_folder(splits={"dev": ["q1\tMED/10\t1"], "test": ["q2\ta:b\t1"]})

    assert [question.id for question in load_dataset(folder).questions] == ["q2"]
    assert [question.id for question in load_dataset(folder, split="dev").questions] == ["q1"]
    with pytest.raises(UsageError, match=r"no `.*train.tsv`") as raised:
        load_dataset(folder, split="train")
    assert raised.value.hint == "splits with judgements: `dev`, `test`"


def test_a_folder_of_neither_layout_is_refused_with_what_is_missing(tmp_path):
    with pytest.raises(UsageError, match="is not a data set") as raised:
        load_dataset(tmp_path)

    assert "questions.jsonl" in raised.value.hint


GOOD = QUESTIONS[0]
EVIDENCE = span_of("harbour.txt", "tide tables")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{not json", "not valid JSON"),
        ("[1, 2]", "not a JSON object"),
        ({**GOOD, "id": ""}, "`id` must be text"),
        ({**GOOD, "id": 7}, "`id` must be text, not 7"),
        (GOOD, "`id` '1' occurs a second time"),
        ({**GOOD, "id": "x", "question": "  "}, "`question` must be text"),
        ({"id": "x", "question": "Why?"}, "`evidence` must be a list"),
        ({**GOOD, "id": "x", "evidence": ["text"]}, "a span must be an object"),
        ({**GOOD, "id": "x", "evidence": [{**EVIDENCE, "document": "gone.txt"}]}, "no document 'gone.txt'"),
        ({**GOOD, "id": "x", "evidence": [{**EVIDENCE, "start": 9, "end": 9}]}, "0 <= start < end"),
        ({**GOOD, "id": "x", "evidence": [{**EVIDENCE, "start": -1}]}, "0 <= start < end"),
        ({**GOOD, "id": "x", "evidence": [{**EVIDENCE, "start": 1.5}]}, "0 <= start < end"),
        ({**GOOD, "id": "x", "evidence": [{**EVIDENCE, "start": True}]}, "0 <= start < end"),
        ({**GOOD, "id": "x", "evidence": [{**EVIDENCE, "quote": 3}]}, "`quote` must be text"),
        ({**GOOD, "id": "x", "paragraph": 3}, "a span must be an object"),
        ({**GOOD, "id": "x", "answer": ["a"]}, "`answer` must be text"),
        ({**GOOD, "id": "x", "answerable": False}, "`answerable` is False, but `evidence` has 1 spans"),
        ({**GOOD, "id": "x", "evidence": [], "answerable": True}, "`answerable` is True"),
    ],
)
def test_a_malformed_question_is_told_with_file_and_line(span_folder, line, problem):
    folder = span_folder(questions=[GOOD, "", line])

    with pytest.raises(UsageError) as raised:
        load_dataset(folder)

    assert problem in raised.value.message
    assert "questions.jsonl` line 3: " in raised.value.message


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["q1\tMED/10"], "line 1: must have 3 columns"),
        (["query-id\tcorpus-id\tscore", "q1\tMED/10\thigh"], "line 2: the score must be a whole number"),
        (["q1\tMED/10\t1", "nobody\tMED/10\t1"], "line 2: there is no query 'nobody'"),
        (["query-id\tcorpus-id\tscore"], "holds no question"),
    ],
)
def test_malformed_judgements_are_told_with_file_and_line(beir_folder, lines, problem):
    folder = beir_folder(splits={"test": lines})

    with pytest.raises(UsageError) as raised:
        load_dataset(folder)

    assert problem in raised.value.message
    assert "test.tsv" in raised.value.message


def test_a_repeated_document_id_is_told_with_its_line(beir_folder):
    folder = beir_folder(corpus=[{"_id": "1", "text": "a"}, {"_id": "1", "text": "b"}])

    with pytest.raises(UsageError, match=r"corpus.jsonl` line 2: `_id` '1' occurs a second time"):
        list(corpus_documents(folder))


def test_a_missing_file_of_a_layout_is_named(beir_folder, span_folder):
    folder = beir_folder()
    (folder / "queries.jsonl").unlink()
    with pytest.raises(UsageError, match=r"there is no `.*queries.jsonl`"):
        load_dataset(folder)

    folder = span_folder()
    (folder / "documents").rename(folder / "texts")
    with pytest.raises(UsageError, match=r"there is no folder `.*documents`"):
        load_dataset(folder)


def test_a_file_that_is_not_utf8_is_refused(span_folder):
    folder = span_folder()
    (folder / "questions.jsonl").write_bytes(b'{"id": "\xff"}\n')

    with pytest.raises(UsageError, match="is not UTF-8"):
        load_dataset(folder)


def test_ids_that_are_numbers_are_halved_by_parity(span_folder):
    dataset = load_dataset(
        span_folder(questions=[{**QUESTIONS[1], "id": str(number)} for number in range(5)])
    )

    assert [each.id for each in dataset.half(Half.TUNE).questions] == ["0", "2", "4"]
    assert [each.id for each in dataset.half(Half.REPORT).questions] == ["1", "3"]
    assert dataset.half(Half.ALL) == dataset


def test_questions_with_a_paragraph_are_halved_by_the_name_of_the_article(span_folder):
    documents = {f"article {number}.txt": "One line of text.\n" for number in range(8)}
    questions = [
        {
            "id": str(2 * number + part),
            "question": "What?",
            "evidence": [{"document": name, "start": 0, "end": 3}],
            "paragraph": {"document": name, "start": 0, "end": 17},
        }
        for number, name in enumerate(documents)
        for part in (0, 1)
    ]
    dataset = load_dataset(span_folder(questions=questions, documents=documents))

    tuned = {each.paragraph.document for each in dataset.half(Half.TUNE).questions}

    even = {
        name
        for name in documents
        if int(hashlib.sha256(name.removesuffix(".txt").encode()).hexdigest(), 16) % 2 == 0
    }
    assert tuned == even
    assert 0 < len(even) < 8
    assert len(dataset.half(Half.TUNE).questions) == 2 * len(even)
    assert not tuned & {each.paragraph.document for each in dataset.half(Half.REPORT).questions}


def test_other_ids_are_halved_by_their_hash(beir_folder):
    queries = [{"_id": str(number), "text": "What?"} for number in range(40)]
    judgements = [f"{number}\tMED/10\t1" for number in range(40)]
    dataset = load_dataset(beir_folder(queries=queries, splits={"test": judgements}))

    tuned = [each.id for each in dataset.half(Half.TUNE).questions]

    assert tuned == [
        str(number)
        for number in range(40)
        if int(hashlib.sha256(str(number).encode()).hexdigest(), 16) % 2 == 0
    ]
    assert 0 < len(tuned) < 40


def test_a_limit_keeps_the_first_questions(span_folder):
    dataset = load_dataset(span_folder())

    assert [each.id for each in dataset.first(2).questions] == ["1", "2"]
    assert dataset.first(None) == dataset


def test_the_sample_questions_of_the_project_are_a_data_set():
    dataset = load_dataset(Path(__file__).parents[2] / "data")

    assert len(dataset.answerable) == 40
    assert len(dataset.questions) == 50


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/datasets")
@pytest.mark.parametrize(("name", "questions"), [("chroma", 472), ("squad", 1190), ("scifact", 807)])
def test_the_shared_data_sets_are_read_whole_and_halved(name, questions):
    dataset = load_dataset(SHARED / name)

    tuned, reported = (len(dataset.half(half).questions) for half in (Half.TUNE, Half.REPORT))
    assert len(dataset.answerable) == questions
    assert tuned + reported == questions
    assert 0.3 < tuned / questions < 0.7
