"""The JSON form of records: field names as keys, nothing renamed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath

import pytest

from ragstack.cli.jsonable import jsonable
from ragstack.records import FileOutcome, FileState, Hit, Location, StoredChunk


def test_a_record_becomes_its_fields_in_order():
    outcome = FileOutcome(path="a.md", state=FileState.NEW, chunks=3)
    assert list(jsonable(outcome).items()) == [
        ("path", "a.md"), ("state", "new"), ("reason", ""), ("chunks", 3), ("embedded", 0),
    ]  # fmt: skip


def test_a_hit_is_an_object_though_it_unpacks_like_a_pair():
    chunk = StoredChunk(1, 2, 0, 0, 4, "text", 1, ("H",), "a.md", None, "text/markdown", "00")
    document = jsonable(Hit(chunk=chunk, score=0.5))
    assert document["chunk"]["headings"] == ["H"]
    assert (document["score"], document["lexical_rank"]) == (0.5, None)


def test_values_without_a_json_form_of_their_own_have_one_here():
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    value = (moment, PureWindowsPath(r"a\b"), PurePosixPath("a/b"), float("nan"), {1: Location(first_line=2)})
    encoded = json.loads(json.dumps(jsonable(value), allow_nan=False))
    assert encoded[:4] == ["2024-05-01T00:00:00+00:00", "a/b", "a/b", None]
    assert encoded[4]["1"]["first_line"] == 2


@pytest.mark.parametrize("value", [b"bytes", object(), FileOutcome])
def test_what_has_no_json_form_is_refused_rather_than_guessed(value):
    with pytest.raises(TypeError):
        jsonable(value)
