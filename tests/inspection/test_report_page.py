"""The report is one file that loads nothing, and what documents say is data to it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.errors import UsageError
from ragstack.inspection.report.page import pictures_in, write_report

HOSTILE = "</script><script>alert(1)</script>&lt;<!--<b>\u2028 \U0001f600 plain words at the end"


class _Page(HTMLParser):
    """Every element with its attributes, and the content of the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.contents: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.contents.append((self.elements[-1][0] if self.elements else "", data))

    def inside(self, tag: str) -> list[str]:
        return [data for name, data in self.contents if name == tag and data.strip()]


@pytest.fixture
def written(tmp_path: Path):
    with RAGSystem(embedder=DeterministicEmbedder()) as system:
        system.add_document(HOSTILE, name="<b>x</b>.md", title="<script>alert(2)</script>")
        system.add_document("The second text. " * 200, name="second.md")
        path = tmp_path / "report.html"
        without_text = write_report(system, path)
        short = tmp_path / "short.html"
        left_out = write_report(system, short, max_characters=len(HOSTILE))
    return path.read_text(encoding="utf-8"), without_text, short.read_text(encoding="utf-8"), left_out


def _data(page: str):
    (data, _script) = _Page(page).inside("script")
    return json.loads(data)


def test_the_page_holds_two_scripts_whatever_documents_say(written):
    page = _Page(written[0])
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "b" not in {tag for tag, _ in page.elements}


def test_texts_and_windows_travel_exactly(written):
    entries = {entry["path"]: entry for entry in _data(written[0])}
    hostile = entries["<b>x</b>.md"]
    assert hostile["text"] == HOSTILE
    assert hostile["title"] == "<script>alert(2)</script>"
    second = entries["second.md"]
    assert len(second["chunks"]) > 1
    assert all(second["text"][start:end].strip() for _, start, end, *_ in second["chunks"])


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(written):
    page = _Page(written[0])
    policy = next(
        a["content"] for tag, a in page.elements if tag == "meta" and "content" in a and "src" in a["content"]
    )
    for content in (page.inside("style")[0], page.inside("script")[1]):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_nothing_is_loaded_from_elsewhere(written):
    attributes = [value or "" for _, given in _Page(written[0]).elements for value in given.values()]
    assert not [value for value in attributes if re.match(r"(https?:)?//", value)]


def test_a_store_that_is_too_large_is_listed_without_the_rest_of_its_text(written):
    _, without_text, short, left_out = written
    assert without_text == 0
    assert left_out == 1
    assert sum(entry["text"] is None for entry in _data(short)) == 1
    assert "listed without their text" in short


def test_a_folder_without_figures_says_how_to_make_them(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no figures") as raised:
        pictures_in(tmp_path)
    assert raised.value.hint == f"run `ragstack figures {tmp_path}` first"
