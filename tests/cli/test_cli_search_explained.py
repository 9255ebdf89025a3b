"""`search --explain`: why each hit stands where it stands."""

from __future__ import annotations

import json

from tiny_models import save_tiny_cross_encoder

from ragstack.cli.evidence import evidence_lines
from ragstack.embedding.cross_encoder import CrossEncoderReranker
from ragstack.records import Hit, ScoreShares, StoredChunk


def test_every_kind_of_evidence_has_a_line(run):
    result = run("search", "notice period", "--explain", "--top-k", "1")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    kinds = [words[0] for words in lines if words]
    evidence = ["meaning", "words", "nearness", "adjacency", "coverage", "related", "score"]
    assert [kind for kind in kinds if kind in evidence] == evidence
    assert "notice, period" in result.stdout
    assert "cosine" in result.stdout


def test_without_it_only_the_text_is_shown(run):
    assert "cosine" not in run("search", "notice period").stdout


def test_json_holds_the_evidence_of_every_hit(run):
    hits = json.loads(run("search", "notice period", "--json").stdout)["hits"]
    for hit in hits:
        assert abs(sum(hit["shares"].values()) - hit["score"]) < 1e-9
    assert hits[0]["matched"] == ["notice", "period"]


def test_a_word_in_the_place_of_another_is_named(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    chunk = StoredChunk(1, 1, 0, 0, 4, "film", 1, (), "a.md", None, "text/plain", "0")
    shares = ScoreShares(0.2, 0.0, 0.0, 0.0, related=0.05)
    hit = Hit(chunk, 0.25, 1, 0.5, None, 0.0, shares, related=(("movie", "film"),))
    assert evidence_lines(1, hit)[-2].split(maxsplit=2) == ["related", "0.0500", "film for movie"]


def movement(place: int, dense_rank: int | None, score_rank: int) -> str:
    chunk = StoredChunk(1, 1, 0, 0, 4, "text", 1, (), "a.md", None, "text/plain", "0")
    hit = Hit(chunk, 0.4, dense_rank, 0.5, 1, 2.0, ScoreShares(0.2, 0.1, 0.1, 0.0), ("pump",), score_rank)
    return evidence_lines(place, hit)[-1]


def test_what_moved_a_hit_is_said(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert "words and meaning agree" in movement(1, 1, 1)
    assert "raised by its words" in movement(1, 7, 1)
    assert "raised by its words" in movement(3, None, 3)
    assert "held back: better hits give most of its text" in movement(4, 2, 2)
    assert "moved up past repetitions" in movement(2, 2, 3)
    assert "passed by others" in movement(5, 2, 5)


def test_a_cross_encoder_decides_on_the_order_when_it_is_named(run, tmp_path, monkeypatch):
    save_tiny_cross_encoder(tmp_path / "cross")
    named = run("search", "leave", "--json", "--reranker", str(tmp_path / "cross"))
    assert named.exit_code == 0, named.output
    texts = [hit["chunk"]["text"] for hit in json.loads(named.stdout)["hits"]]
    marks = CrossEncoderReranker(str(tmp_path / "cross")).scores("leave", texts)
    assert marks == sorted(marks, reverse=True)
    monkeypatch.setenv("RAGSTACK_RERANKER", str(tmp_path / "cross"))
    assert run("search", "leave", "--json").stdout == named.stdout


def test_what_the_reranker_moved_is_said(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    chunk = StoredChunk(1, 1, 0, 0, 4, "text", 1, (), "a.md", None, "text/plain", "0")
    hit = Hit(chunk, 0.6, 7, 0.5, 1, 2.0, ScoreShares(0.2, 0.1, 0.1, 0.0), ("pump",), 1)
    assert "placed by the reranker; by its own evidence 0.4000" in evidence_lines(1, hit)[-1]


def test_a_reranker_that_is_not_there_is_an_error_in_one_line(run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("search", "leave", "--reranker", str(tmp_path / "empty"))
    assert result.exit_code == 1
    assert "holds no cross-encoder" in result.stderr
