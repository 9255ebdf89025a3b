from __future__ import annotations

import pytest

from ragstack.answering.generators.addresses import Endpoint, endpoint_named
from ragstack.answering.generators.endpoint import EndpointGenerator
from ragstack.answering.generators.local import LocalGenerator
from ragstack.answering.generators.opening import open_generator
from ragstack.errors import UsageError


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("http://localhost:8080", Endpoint("http://localhost:8080")),
        ("http://localhost:8080/", Endpoint("http://localhost:8080")),
        ("HTTPS://example.org/v1", Endpoint("https://example.org")),
        ("https://example.org/api/v1/chat/completions", Endpoint("https://example.org/api")),
        ("http://localhost:11434#llama3.2:3b", Endpoint("http://localhost:11434", "llama3.2:3b")),
        ("ollama:llama3.2:3b", Endpoint("http://localhost:11434", "llama3.2:3b")),
        ("llama.cpp", Endpoint("http://localhost:8080")),
        ("OpenAI:gpt-4o-mini", Endpoint("https://api.openai.com", "gpt-4o-mini")),
    ],
)
def test_addresses_and_providers_name_endpoints(name, endpoint):
    assert endpoint_named(name) == endpoint


@pytest.mark.parametrize("name", ["models/tiny", "Qwen/Qwen3-0.6B", "C:/models/tiny", "llama3.2"])
def test_other_names_are_models_on_this_disk(name):
    assert endpoint_named(name) is None
    assert isinstance(open_generator(name), LocalGenerator)


def test_an_address_opens_an_endpoint_without_asking_it():
    assert isinstance(open_generator("http://localhost:1"), EndpointGenerator)


@pytest.mark.parametrize("name", ["http://", "http://localhost:99999999", "https:///v1"])
def test_what_cannot_be_an_address_is_refused(name):
    with pytest.raises(UsageError, match="no server's address"):
        endpoint_named(name)


@pytest.mark.parametrize("name", ["http://me:hunter2@localhost:8080", "https://example.org/v1?key=hunter2"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(name):
    with pytest.raises(UsageError) as caught:
        endpoint_named(name)
    assert "hunter2" not in caught.value.message + str(caught.value.hint)
    assert "RAGSTACK_API_KEY" in str(caught.value.hint)


def test_a_model_is_named_as_a_reader_is():
    assert Endpoint("http://localhost:8080", "tiny").target == "http://localhost:8080#tiny"
    assert Endpoint("http://localhost:8080").target == "http://localhost:8080"
