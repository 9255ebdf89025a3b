"""Running servers: what they say of their model and window, asked over loopback in their own words."""

from __future__ import annotations

import json

import gguf
import pytest
from model_servers import (
    LLAMA_MODELS,
    LLAMA_PROPS,
    OLLAMA_SHOW,
    VLLM_MODELS,
    ollama,
    serving,
)

from ragstack.context.architectures.lookup import describe_model
from ragstack.context.architectures.servers import parse_llama_cpp, parse_ollama, parse_openai_models
from ragstack.errors import ArchitectureError


def test_ollama_tells_layers_weights_and_the_window_that_it_allocated():
    with serving(ollama()) as (url, _):
        model = describe_model(url)
    assert (model.name, len(model.layers), model.layers[0].kv_heads) == ("llama3.2:latest", 28, 8)
    assert (model.weight_bytes, model.weight_type, model.vocabulary) == (2_019_393_189, "q4_k_m", 128_256)
    assert (model.trained_window, model.requested_window, model.allocated_window) == (131_072, 16_384, 4_096)
    assert (model.window, model.window_reason) == (4_096, "allocated")


def test_a_model_that_ollama_has_not_loaded_is_planned_with_its_request_and_a_note():
    with serving(ollama(ps={"models": []})) as (url, _):
        model = describe_model(url, model="llama3.2")
    assert (model.window, model.window_reason) == (16_384, "requested")
    assert "not loaded" in model.notes[0]


def test_lists_that_ollama_abridges_are_asked_for_in_full():
    abridged = json.loads(json.dumps(OLLAMA_SHOW))
    abridged["model_info"]["llama.attention.head_count_kv"] = None

    def show(body):
        return OLLAMA_SHOW if body.get("verbose") else abridged

    with serving(ollama(show=show)) as (url, asked):
        assert describe_model(url).layers[0].kv_heads == 8
    bodies = [body for path, body, _ in asked if path == "/api/show"]
    assert bodies == [{"model": "llama3.2:latest"}, {"model": "llama3.2:latest", "verbose": True}]


def test_one_of_several_models_has_to_be_named():
    tags = {"models": [{"name": "a:1b"}, {"name": "b:2b"}]}
    with (
        serving(ollama(ps={"models": []}, tags=tags)) as (url, _),
        pytest.raises(ArchitectureError, match="`a:1b`, `b:2b`"),
    ):
        describe_model(url)


def test_a_model_that_ollama_lacks_comes_with_the_command_that_fetches_it():
    with serving(ollama(show=404)) as (url, _), pytest.raises(ArchitectureError) as caught:
        describe_model(url, model="qwen3:8b")
    assert caught.value.hint == "run `ollama pull qwen3:8b`"


def test_llama_cpp_tells_the_window_of_one_slot():
    with serving({"/props": LLAMA_PROPS, "/v1/models": LLAMA_MODELS}) as (url, _):
        model = describe_model(url)
    assert (model.allocated_window, model.trained_window) == (8_192, 32_768)
    assert (model.parameters, model.weight_bytes) == (7_615_616_512, 4_677_120_000)


def test_llama_cpp_s_model_gets_its_layers_from_its_name_when_the_file_is_elsewhere():
    with serving({"/props": LLAMA_PROPS, "/v1/models": LLAMA_MODELS}) as (url, _):
        model = describe_model(url)
    assert model.is_known
    assert len(model.layers) == 28
    assert "not of the server" in model.notes[-1]


def test_llama_cpp_s_own_file_is_read_when_this_machine_has_it(tmp_path):
    path = tmp_path / "own.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(3)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_vocab_size(100)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    props = {**LLAMA_PROPS, "model_path": str(path)}
    with serving({"/props": props, "/v1/models": LLAMA_MODELS}) as (url, _):
        model = describe_model(url)
    assert (len(model.layers), model.allocated_window) == (3, 8_192)


def test_vllm_tells_its_window_and_the_registry_the_layers():
    with serving({"/v1/models": VLLM_MODELS}) as (url, _):
        model = describe_model(f"{url}/v1")
    assert (model.name, model.window, len(model.layers)) == ("Qwen/Qwen3-8B", 20_000, 36)


def test_an_unknown_model_of_vllm_has_a_window_but_no_layers():
    reply = {"data": [{"id": "in-house", "max_model_len": 4_096}]}
    with serving({"/v1/models": reply}) as (url, _):
        model = describe_model(url)
    assert (model.window, model.is_known) == (4_096, False)
    with pytest.raises(ArchitectureError, match="does not say what layers `in-house` has"):
        model.require_layers()


def test_the_key_goes_to_the_server_that_was_named():
    with serving({"/v1/models": VLLM_MODELS}) as (url, asked):
        describe_model(url, key="secret")
    assert {authorization for _, _, authorization in asked} == {"Bearer secret"}


def test_a_redirect_is_not_followed_with_the_key():
    with serving({"/v1/models": 302}) as (url, _), pytest.raises(ArchitectureError, match="neither"):
        describe_model(url, key="secret")


def test_a_refusal_asks_for_the_key(monkeypatch):
    monkeypatch.delenv("RAGSTACK_API_KEY", raising=False)
    with serving({"/props": 401}) as (url, _), pytest.raises(ArchitectureError) as caught:
        describe_model(url)
    assert caught.value.hint == "set the environment variable `RAGSTACK_API_KEY` to the server's API key"


def test_a_failing_server_is_named():
    with serving({"/props": 503}) as (url, _), pytest.raises(ArchitectureError, match="503"):
        describe_model(url)


@pytest.mark.parametrize(
    "reply", [b"<html>hello</html>", [1, 2], {"error": "Unexpected endpoint"}, b"[" * 100_000]
)
def test_another_kind_of_server_is_told_apart(reply):
    replies = dict.fromkeys(["/props", "/api/version", "/v1/models"], reply)
    with serving(replies) as (url, _), pytest.raises(ArchitectureError, match="is neither"):
        describe_model(url)


def test_no_server_at_all_is_a_clear_error():
    with pytest.raises(ArchitectureError, match="no answer from") as caught:
        describe_model("http://127.0.0.1:9")
    assert caught.value.hint


@pytest.mark.parametrize("url", ["http://", "https://?x"])
def test_an_address_without_a_host_is_refused(url):
    with pytest.raises(ArchitectureError, match="no server's address"):
        describe_model(url)


def test_a_garbled_reply_names_its_field():
    props = {**LLAMA_PROPS, "default_generation_settings": {"n_ctx": "many"}}
    with pytest.raises(ArchitectureError, match="`n_ctx`"):
        parse_llama_cpp(props, {}, source="http://host")


def test_openai_servers_that_say_no_window_leave_it_open():
    model = parse_openai_models({"data": [{"id": "some-model"}]}, model=None, source="http://host")
    assert model.window is None
    assert model.notes == ("the server does not say how long a prompt may be",)


def test_recorded_ollama_replies_parse_without_a_server():
    model = parse_ollama(OLLAMA_SHOW, running={}, tags={}, name="llama3.2", source="a recording")
    assert (model.parameters, model.trained_window) == (3_212_749_888, 131_072)
