"""Which key goes to which server: OpenAI's own to OpenAI alone, ours to whatever is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.context.keys import api_key, key_hint, key_variable
from ragstack.errors import UsageError

OPENAI = "https://api.openai.com"
ELSEWHERE = "http://localhost:8000"


@pytest.fixture
def openai_key(monkeypatch):
    monkeypatch.delenv("RAGSTACK_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", " sk-openai\n")


@pytest.mark.parametrize(
    "url",
    [
        OPENAI,
        f"{OPENAI}/v1",
        "https://API.OpenAI.com:443/",
        "https://eu.api.openai.com",
        "HTTPS://api.openai.com",
    ],
)
def test_openai_is_given_its_own_key(openai_key, url):
    assert api_key(url) == "sk-openai"
    assert key_variable(url) == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    "url",
    [
        ELSEWHERE,
        "http://api.openai.com",
        "https://api.openai.com:8443",
        "https://api.openai.com:99999",
        "https://api.openai.com.example.org",
        "https://example.org/api.openai.com",
        "https://example.org#api.openai.com",
        "https://example.org?api.openai.com",
        "https://api.openai.com@example.org",
        "https://someone@api.openai.com",
        "https://example.org\\.api.openai.com",
        "https://example.org\\@api.openai.com",
        "https://api.openai.com\n.example.org",
        "https://xapi.openai.com",
        "https://api.openai.com.",
        "https://a.b.api.openai.com",
        "https://openai.com",
        "https://api．openai．com",
        "api.openai.com",
        "",
    ],
)
def test_nobody_else_is_given_openais_key(openai_key, url):
    assert api_key(url) is None
    assert key_variable(url) == "RAGSTACK_API_KEY"


@given(before=st.text(max_size=12), after=st.text(max_size=12))
def test_no_letters_round_the_host_bring_the_key_to_another_one(before, after):
    """What passes names, to the client library that sends the key, no host but OpenAI's."""
    import httpx2

    url = f"https://{before}api.openai.com{after}"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAGSTACK_API_KEY", raising=False)
        patch.setenv("OPENAI_API_KEY", "sk-openai")
        if api_key(url) is None:
            return
        host = httpx2.URL(url).host
    assert host == "api.openai.com" or (host.endswith(".api.openai.com") and host.count(".") == 3)


def test_our_own_variable_is_for_every_server_and_comes_first(openai_key, monkeypatch):
    monkeypatch.setenv("RAGSTACK_API_KEY", "sk-ours")
    assert [api_key(url) for url in (OPENAI, ELSEWHERE)] == ["sk-ours", "sk-ours"]
    monkeypatch.setenv("RAGSTACK_API_KEY", "")
    assert [api_key(url) for url in (OPENAI, ELSEWHERE)] == ["sk-openai", None]


def test_the_hint_names_the_variable_that_fits(openai_key, monkeypatch):
    assert "correct the key in the environment variable `OPENAI_API_KEY`" in key_hint(OPENAI)
    assert "set the environment variable `RAGSTACK_API_KEY`" in key_hint(ELSEWHERE)
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "set the environment variable `OPENAI_API_KEY`" in key_hint(OPENAI)


@pytest.mark.parametrize("key", ["sk-one sk-two", "sk-one\r\nX-Other: 1", "schlüssel", "sk\x00one"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(monkeypatch, key):
    if "\x00" in key:
        monkeypatch.setattr("os.environ", {"RAGSTACK_API_KEY": key})  # an environment cannot hold it
    else:
        monkeypatch.setenv("RAGSTACK_API_KEY", key)
    with pytest.raises(UsageError, match="the key in `RAGSTACK_API_KEY` has") as caught:
        api_key(ELSEWHERE)
    assert key not in caught.value.message + str(caught.value.hint)
