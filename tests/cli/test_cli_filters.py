"""`--filter`: the words of a user become a filter."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from ragstack.cli.filters import parse_filter
from ragstack.errors import UsageError


def test_no_condition_lets_every_document_pass():
    assert parse_filter([]).is_empty


def test_a_bare_glob_is_a_path_and_so_is_path_equals():
    assert parse_filter(["notes/**", "path=docs/*.md"]).paths == ("notes/**", "docs/*.md")


def test_a_path_with_an_equals_sign_is_written_with_its_kind():
    assert parse_filter(["path=a=b/*.md"]).paths == ("a=b/*.md",)


def test_types_documents_and_metadata_are_told_apart():
    where = parse_filter(["type=pdf", "type=text/html", "document=7", "meta.author=Ann = Bob"])
    assert where.media_types == ("pdf", "text/html")
    assert where.documents == (7,)
    assert where.metadata == (("author", "Ann = Bob"),)


def test_a_day_counts_from_its_start_and_until_its_end():
    where = parse_filter(["since=2024-05-01", "until=2024-05-01"])
    assert where.since.date() == where.until.date() == date(2024, 5, 1)
    assert where.until - where.since == datetime.max - datetime(9999, 12, 31)


def test_times_with_and_without_a_zone_can_be_mixed_and_the_narrowest_holds():
    where = parse_filter(["since=2024-01-01", "since=2024-05-01T12:00+00:00"])
    assert where.since == datetime.fromisoformat("2024-05-01T12:00+00:00")


@pytest.mark.parametrize(
    "condition", ["", "type=", "tpye=pdf", "since=tomorrow", "document=seven", "until=2024-13-01"]
)
def test_a_condition_that_says_nothing_known_is_wrong_usage_with_a_hint(condition):
    with pytest.raises(UsageError) as caught:
        parse_filter([condition])
    assert caught.value.exit_code == 2
    assert "path=a=b.md" in caught.value.hint
