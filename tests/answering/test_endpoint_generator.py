from __future__ import annotations

import contextlib
import json
import threading

import pytest
from chat_server import (
    DONE,
    answering,
    chat_server,
    event,
    refusing,
    resetting,
    streaming,
    usage,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.answering.generators.addresses import Endpoint
from ragstack.answering.generators.endpoint import EndpointGenerator
from ragstack.answering.generators.failures import ATTEMPTS, unreachable
from ragstack.answering.generators.replies import Pace, Reply
from ragstack.errors import GenerationError
from ragstack.records import Message

MESSAGES = (Message("system", "Answer."), Message("user", "Who fed the cat?"))


class Clock:
    """A pace without waiting: it only remembers how long it would have slept."""

    def __init__(self, patience: float = 20.0) -> None:
        self.slept: list[float] = []
        self.pace = Pace(patience=patience, sleep=self.slept.append, jitter=lambda: 0.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("RAGSTACK_API_KEY", raising=False)


def ask(url, clock, *, key=None, model="tiny"):
    with EndpointGenerator(Endpoint(url, model), key=key, pace=clock.pace) as generator:
        return list(generator.stream(MESSAGES, max_tokens=16))


def error_of(url, clock, **options) -> GenerationError:
    with pytest.raises(GenerationError) as caught:
        ask(url, clock, **options)
    return caught.value


def text_of(pieces):
    return "".join(piece.text for piece in pieces)


def test_an_answer_comes_piece_by_piece_with_the_servers_counts_at_its_end(clock):
    with chat_server(answering("Ann ", "did ", "[1].", prompt_tokens=42)) as server:
        pieces = ask(server.url, clock)
    assert [piece.text for piece in pieces] == ["Ann ", "did ", "[1].", ""]
    assert (pieces[-1].finish_reason, pieces[-1].prompt_tokens, pieces[-1].answer_tokens) == ("stop", 42, 3)


def test_the_request_holds_the_messages_the_model_and_a_limit(clock):
    with chat_server(answering("Ann.")) as server:
        ask(server.url, clock, model="llama3.2")
        body = server.chats[0].body
    assert body["messages"] == [{"role": each.role, "content": each.content} for each in MESSAGES]
    assert (body["model"], body["max_tokens"], body["stream"]) == ("llama3.2", 16, True)


@pytest.mark.parametrize("ending", ["\n\n", "\r\n\r\n", "\r\r"])
def test_events_may_end_in_any_line_break(clock, ending):
    events = [event("Ann\u2028did"), event(finish="stop"), DONE]
    with chat_server(streaming(*(each.replace(b"\n\n", ending.encode()) for each in events))) as server:
        assert text_of(ask(server.url, clock)) == "Ann\u2028did"


def test_events_may_be_cut_anywhere(clock):
    whole = event("Zoë fed it") + event(finish="stop") + DONE
    with chat_server(streaming(*(whole[at : at + 1] for at in range(len(whole))))) as server:
        assert text_of(ask(server.url, clock)) == "Zoë fed it"


def test_comments_and_unknown_fields_are_passed_over(clock):
    with chat_server(streaming(b": ping\n\n", b"id: 7\nevent: x\n", event("Ann"), DONE)) as server:
        assert text_of(ask(server.url, clock)) == "Ann"


def test_thoughts_of_a_model_are_no_part_of_its_answer(clock):
    thought = {"choices": [{"delta": {"reasoning_content": "Hm, cats"}}]}
    with chat_server(streaming(f"data: {json.dumps(thought)}\n\n".encode(), event("Ann"), DONE)) as server:
        assert text_of(ask(server.url, clock)) == "Ann"


def test_a_server_that_does_not_stream_is_understood(clock):
    whole = {
        "choices": [{"message": {"content": "Ann did."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }
    with chat_server(refusing(200, whole)) as server:
        pieces = ask(server.url, clock)
    assert text_of(pieces) == "Ann did."
    assert pieces[-1].prompt_tokens == 9


def test_a_server_that_is_down_is_tried_a_few_times_and_named(clock):
    with chat_server() as server:
        url = server.url
    error = error_of(url, clock)
    assert error.message.startswith(f"no answer from {url}")
    assert "start the server" in error.hint
    assert clock.slept == [0.5, 1.0, 2.0]


def test_a_server_elsewhere_is_not_told_to_be_started_here():
    away, here = (unreachable(Endpoint(url), "no route").hint for url in ("https://x.org", "http://[::1]:80"))
    assert "the network" in away
    assert "start the server" in here


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_overloaded_server_is_asked_again(clock, status):
    with chat_server(refusing(status), refusing(status), answering("Ann.")) as server:
        assert text_of(ask(server.url, clock)) == "Ann."
    assert clock.slept == [0.5, 1.0]


def test_the_wait_that_a_server_asks_for_is_kept(clock):
    with chat_server(refusing(429, headers={"Retry-After": "7"}), answering("Ann.")) as server:
        ask(server.url, clock)
    assert clock.slept == [7.0]


def test_a_wait_that_is_too_long_is_not_kept(clock):
    with chat_server(refusing(429, headers={"Retry-After": "3600"})) as server:
        error = error_of(server.url, clock)
    assert "takes no more requests" in error.message
    assert clock.slept == []


def test_a_server_that_stays_overloaded_is_given_up(clock):
    with chat_server(refusing(503, {"error": {"message": "Loading model"}})) as server:
        error = error_of(server.url, clock)
        assert len(server.chats) == ATTEMPTS
    assert "failed (503) after 4 tries: Loading model" in error.message
    assert "loading the model" in error.hint


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (401, "refused access (401)", "RAGSTACK_API_KEY"),
        (403, "refused access (403)", "RAGSTACK_API_KEY"),
        (404, "no model `tiny` (404)", "--llm"),
        (418, "refused the request (418)", "log"),
    ],
)
def test_a_refusal_that_stays_is_told_at_once(clock, status, said, hint):
    with chat_server(refusing(status, {"error": {"message": "no"}})) as server:
        error = error_of(server.url, clock)
        assert len(server.chats) == 1
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "words",
    [
        {
            "error": {
                "type": "exceed_context_size_error",
                "message": "request (9 tokens) exceeds the available context size",
            }
        },
        {
            "error": {
                "code": "context_length_exceeded",
                "message": "This model's maximum context length is 8 tokens",
            }
        },
        {"error": "Trying to keep the first 9 tokens when context the overflows; context length exceeded"},
    ],
)
def test_a_prompt_that_is_too_long_is_told_apart_from_other_refusals(clock, words):
    with chat_server(refusing(400, words)) as server:
        error = error_of(server.url, clock)
    assert "takes no prompt of this length" in error.message
    assert "--window" in error.hint


def test_an_exhausted_account_is_not_asked_again(clock):
    with chat_server(refusing(429, {"error": {"message": "You exceeded your current quota"}})) as server:
        error_of(server.url, clock)
        assert len(server.chats) == 1


def test_a_web_page_instead_of_an_error_is_not_repeated(clock):
    page = "<html><body>Nothing to see</body></html>"
    with chat_server(refusing(404, page, kind="text/html")) as server:
        assert "<html>" not in error_of(server.url, clock).message


def test_the_key_is_sent_and_never_shown(clock, monkeypatch):
    monkeypatch.setenv("RAGSTACK_API_KEY", "sk-very-secret")
    with chat_server(refusing(401, {"error": {"message": "Bad key sk-very-secret"}})) as server:
        error = error_of(server.url, clock)
        assert server.chats[0].headers["Authorization"] == "Bearer sk-very-secret"
        shown = repr(EndpointGenerator(Endpoint(server.url), pace=clock.pace))
    assert "secret" not in error.message + str(error.hint) + shown


def test_a_redirect_is_not_followed(clock):
    with (
        chat_server(answering("stolen")) as elsewhere,
        chat_server(refusing(307, headers={"Location": f"{elsewhere.url}/v1/chat/completions"})) as server,
    ):
        error = error_of(server.url, clock, key="sk-very-secret")
        assert elsewhere.requests == []
    assert "(307)" in error.message


def test_parameters_that_a_model_refuses_are_left_out_or_renamed(clock):
    refused = {
        "error": {"message": "Unsupported parameter: 'max_tokens' use 'max_completion_tokens' instead"}
    }
    hot = {"error": {"message": "Unsupported value: 'temperature' does not support 0"}}
    with chat_server(refusing(400, refused), refusing(400, hot), answering("Ann.")) as server:
        assert text_of(ask(server.url, clock)) == "Ann."
        body = server.chats[-1].body
    assert "max_tokens" not in body
    assert "temperature" not in body
    assert body["max_completion_tokens"] == 16
    assert clock.slept == []


@pytest.mark.parametrize(
    "chunk",
    [b"data: {not json\n\n", b"data: [1, 2]\n\n", b'data: {"object": "x"}\n\n', b"data: \xff\xfe\n\n"],
)
def test_a_malformed_stream_is_no_answer(clock, chunk):
    with chat_server(streaming(event("Ann "), chunk)) as server:
        error = error_of(server.url, clock)
    assert " sent " in error.message
    assert "OpenAI-compatible" in error.hint or "chat server" in error.hint


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "delta", "content", "finish_reason", "usage", "error"]), inner
            )
        ),
        max_leaves=12,
    )
)
@settings(deadline=None, max_examples=200)
def test_no_event_whatever_is_in_it_ends_in_anything_but_an_answer_or_a_generation_error(value):
    class Response:
        def __init__(self):
            self.headers = {"content-type": "text/event-stream"}

        def iter_bytes(self):
            yield f"data: {json.dumps(value)}\n\n".encode() + DONE

    with contextlib.suppress(GenerationError):
        assert all(
            isinstance(each.text, str) for each in Reply(Endpoint("http://x"), Response(), Pace()).pieces()
        )


def test_a_line_without_end_is_not_collected_for_ever(clock):
    with chat_server(streaming(b"data: ", *[b"x" * 2**18] * 8)) as server:
        assert "a line of more than" in error_of(server.url, clock).message


def test_an_error_in_the_stream_ends_the_answer(clock):
    broken = b'data: {"error": {"message": "CUDA out of memory"}}\n\n'
    with chat_server(streaming(event("Ann "), broken)) as server:
        error = error_of(server.url, clock)
    assert "broke off the answer: CUDA out of memory" in error.message


def test_an_answer_without_an_end_is_not_taken_for_a_whole_one(clock):
    with chat_server(streaming(event("Ann "))) as server:
        assert "without an end" in error_of(server.url, clock).message


def test_a_server_that_is_killed_half_way_breaks_the_answer_off(clock):
    with chat_server(resetting(event("Ann "))) as server:
        error = error_of(server.url, clock)
        assert len(server.chats) == 1
    assert "broke off the answer" in error.message


def test_what_was_written_before_a_failure_has_been_yielded(clock):
    written = []
    with chat_server(streaming(event("Ann "), event("did "))) as server:
        generator = EndpointGenerator(Endpoint(server.url), pace=clock.pace)
        with pytest.raises(GenerationError):
            written.extend(piece.text for piece in generator.stream(MESSAGES, max_tokens=4))
        generator.close()
    assert written == ["Ann ", "did "]


def test_a_first_token_that_does_not_come_is_waited_for_as_long_as_patience_lasts():
    held = threading.Event()

    def silent(connection):
        connection.head(200, "text/event-stream")
        held.wait(20)

    clock = Clock(patience=0.2)
    with chat_server(silent) as server:
        error = error_of(server.url, clock)
        held.set()
    assert "did not write the first token within 0.2 s" in error.message
    assert "--latency" in error.hint


def test_signs_of_life_do_not_stand_for_tokens():
    held = threading.Event()

    def pinging(connection):
        connection.head(200, "text/event-stream")
        while not held.wait(0.02):
            connection.send(b": still here\n\n")

    clock = Clock(patience=0.2)
    with chat_server(pinging) as server:
        error = error_of(server.url, clock)
        held.set()
    assert "did not write the first token" in error.message


def test_closing_the_stream_closes_the_connection(clock):
    gone = threading.Event()

    def endless(connection):
        connection.head(200, "text/event-stream")
        try:
            while True:
                connection.send(event("word "))
        except (BrokenPipeError, ConnectionResetError):
            gone.set()

    with chat_server(endless) as server:
        generator = EndpointGenerator(Endpoint(server.url), pace=clock.pace)
        pieces = generator.stream(MESSAGES, max_tokens=4)
        assert next(pieces).text == "word "
        pieces.close()
        assert gone.wait(20)
        generator.close()


def test_a_model_that_is_named_nowhere_is_the_only_one_served(clock):
    with chat_server(answering("Ann."), v1__models={"data": [{"id": "only-one"}]}) as server:
        ask(server.url, clock, model=None)
        assert server.chats[0].body["model"] == "only-one"


def test_ollama_is_made_to_load_its_model(clock):
    with chat_server(api__version={"version": "0.9"}, api__generate={"done": True}) as server:
        EndpointGenerator(Endpoint(server.url, "llama3.2"), pace=clock.pace).prepare()
        loaded = [each.body for each in server.requests if each.path == "/api/generate"]
    assert loaded == [{"model": "llama3.2", "stream": False}]


def test_a_prompt_is_counted_by_llama_cpp_after_its_template(clock):
    def template(body):
        return {"prompt": "".join(f"<{each['role']}>{each['content']}" for each in body["messages"])}

    counted = {"apply-template": template, "tokenize": lambda body: {"tokens": body["content"].split("<")}}
    with chat_server(**counted) as server:
        generator = EndpointGenerator(Endpoint(server.url, "tiny"), pace=clock.pace)
        assert generator.count_prompt(MESSAGES) == 3
        generator.close()


def test_no_document_is_sent_to_a_server_that_cannot_count(clock):
    with chat_server() as server:
        generator = EndpointGenerator(Endpoint(server.url, "tiny"), pace=clock.pace)
        assert generator.count_prompt(MESSAGES) is None
        assert "cat" not in json.dumps([each.body for each in server.requests])
        generator.close()


def test_usage_may_come_before_the_end(clock):
    with chat_server(streaming(event("Ann"), usage(7, 1), event(finish="length"), DONE)) as server:
        last = ask(server.url, clock)[-1]
    assert (last.prompt_tokens, last.finish_reason) == (7, "length")
