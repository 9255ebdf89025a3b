"""Model servers on loopback that answer what the real ones answered: Ollama, llama.cpp and vLLM."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What Ollama 0.12 answers for llama3.2:3b, without the long texts.
OLLAMA_SHOW = {
    "license": "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT",
    "modelfile": "FROM llama3.2",
    "parameters": 'num_ctx                        16384\nstop                           "<|eot_id|>"',
    "template": "{{ .System }}",
    "details": {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "3.2B",
        "quantization_level": "Q4_K_M",
    },
    "model_info": {
        "general.architecture": "llama",
        "general.basename": "Llama-3.2",
        "general.file_type": 15,
        "general.parameter_count": 3_212_749_888,
        "llama.attention.head_count": 24,
        "llama.attention.head_count_kv": 8,
        "llama.attention.key_length": 128,
        "llama.attention.layer_norm_rms_epsilon": 1e-05,
        "llama.attention.value_length": 128,
        "llama.block_count": 28,
        "llama.context_length": 131_072,
        "llama.embedding_length": 3_072,
        "llama.feed_forward_length": 8_192,
        "llama.rope.dimension_count": 128,
        "llama.vocab_size": 128_256,
        "tokenizer.ggml.merges": [],
        "tokenizer.ggml.tokens": [],
    },
    "capabilities": ["completion", "tools"],
}
OLLAMA_PS = {
    "models": [
        {
            "name": "llama3.2:latest",
            "model": "llama3.2:latest",
            "size": 4_421_210_112,
            "size_vram": 4_421_210_112,
            "context_length": 4_096,
        }
    ]
}
OLLAMA_TAGS = {"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 2_019_393_189}]}

# What llama-server answers to /props and /v1/models.
LLAMA_PROPS = {
    "default_generation_settings": {"id": 0, "n_ctx": 8_192, "params": {"temperature": 0.8}},
    "total_slots": 4,
    "model_path": "/models/qwen2.5-7b-instruct-q4_k_m.gguf",
    "modalities": {"vision": False, "audio": False},
    "chat_template": "{%- for message in messages %}",
    "build_info": "b6940-a1b2c3d",
}
LLAMA_MODELS = {
    "object": "list",
    "data": [
        {
            "id": "/models/qwen2.5-7b-instruct-q4_k_m.gguf",
            "object": "model",
            "owned_by": "llamacpp",
            "meta": {
                "vocab_type": 2,
                "n_vocab": 152_064,
                "n_ctx_train": 32_768,
                "n_embd": 3_584,
                "n_params": 7_615_616_512,
                "size": 4_677_120_000,
            },
        }
    ],
}

# What `vllm serve Qwen/Qwen3-8B --max-model-len 20000` answers.
VLLM_MODELS = {
    "object": "list",
    "data": [
        {
            "id": "Qwen/Qwen3-8B",
            "object": "model",
            "owned_by": "vllm",
            "root": "Qwen/Qwen3-8B",
            "parent": None,
            "max_model_len": 20_000,
        }
    ],
}


class Replies(BaseHTTPRequestHandler):
    """Answers each path with what the server's `replies` hold for it: JSON, bytes, or a status."""

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(json.loads(body))

    def answer(self, body: Any) -> None:
        self.server.asked.append((self.path, body, self.headers.get("Authorization")))
        reply = self.server.replies.get(self.path, 404)
        if callable(reply):
            reply = reply(body)
        status, content = (reply, b"") if isinstance(reply, int) else (200, reply)
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@contextmanager
def serving(replies: dict[str, Any]) -> Iterator[tuple[str, list]]:
    """A server on loopback with these replies; yields its address and what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replies)
    server.replies, server.asked = replies, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ollama(**replies: Any) -> dict[str, Any]:
    return {
        "/api/version": {"version": "0.12.3"},
        "/api/ps": OLLAMA_PS,
        "/api/tags": OLLAMA_TAGS,
        "/api/show": OLLAMA_SHOW,
        **{f"/api/{name}": reply for name, reply in replies.items()},
    }


def llama_cpp(**replies: Any) -> dict[str, Any]:
    """llama-server, which counts a token for each word, and knows its template."""
    return {
        "/props": LLAMA_PROPS,
        "/v1/models": LLAMA_MODELS,
        "/tokenize": lambda body: {"tokens": list(range(len(body["content"].split())))},
        "/apply-template": {"prompt": "<s> system Answer. </s> <s> user Why? </s> <s> assistant"},
        "/v1/completions": completion,
        **{f"/{name}": reply for name, reply in replies.items()},
    }


def vllm(**replies: Any) -> dict[str, Any]:
    """`vllm serve Qwen/Qwen3-8B --max-model-len 20000`, which counts a token for each word."""
    return {
        "/v1/models": VLLM_MODELS,
        "/tokenize": lambda body: {"count": len(body["prompt"].split()), "max_model_len": 20_000},
        "/v1/completions": completion,
        **{f"/{name}": reply for name, reply in replies.items()},
    }


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """One token after a prompt of so many words, 100 microseconds for each."""
    words = len(body["prompt"].split())
    time.sleep(words * 1e-4)
    return {"choices": [{"text": " a"}], "usage": {"prompt_tokens": words, "completion_tokens": 1}}
