"""Settings that cannot be honoured are refused with what to do instead."""

from __future__ import annotations

import pytest

from ragstack.chunking.settings import check_settings
from ragstack.chunking.windows import chunk_document
from ragstack.errors import UsageError
from ragstack.records import ChunkerSettings, Document


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        (ChunkerSettings(15, 0), "at least 16"),
        (ChunkerSettings(100, 51), "from 0 to 50"),
        (ChunkerSettings(100, -1), "from 0 to 50"),
        (ChunkerSettings(257, 0), "at most 256"),
        (ChunkerSettings(100, 0, max_characters=63), "at least 64"),
        (ChunkerSettings(100, 0, max_context_tokens=-1), "0 for no context"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_hint(settings, hint):
    with pytest.raises(UsageError) as caught:
        check_settings(settings, max_tokens=256, overhead=2)
    assert hint in (caught.value.hint or "")
    assert not caught.value.message.endswith(".")


def test_a_prompt_that_leaves_no_room_is_refused():
    with pytest.raises(UsageError, match="prompt takes 40") as caught:
        check_settings(ChunkerSettings(16, 8), max_tokens=64, overhead=40)
    assert "shorten the document prompt" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "settings", [ChunkerSettings(16, 0), ChunkerSettings(16, 8), ChunkerSettings(256, 128)]
)
def test_the_bounds_themselves_are_allowed(settings):
    check_settings(settings, max_tokens=256, overhead=2)


def test_cutting_a_document_checks_the_settings_first(minilm):
    document = Document(text="", media_type="text/plain", reader="test", reader_version=1)
    with pytest.raises(UsageError):
        chunk_document(document, minilm, ChunkerSettings(8, 0), max_tokens=256, overhead=2)
