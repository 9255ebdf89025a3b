"""What a running model server says of its model: Ollama, llama.cpp and vLLM (or any OpenAI-compatible one).

Fetching and parsing are apart: the `parse_*` functions take the decoded JSON. A server's word on the window
that it has allocated is final, because a longer prompt would be cut or refused; its memory is its own
business and already taken. Only the address that the caller names is asked.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.fields import Fields
from ragstack.context.architectures.gguf_models import architecture_from_metadata, read_gguf
from ragstack.context.keys import key_hint
from ragstack.errors import ArchitectureError

TIMEOUT_SECONDS = 10.0

# /api/show with vocabulary and merges is about 15 MB for 256k tokens.
LARGEST_REPLY = 64 * 2**20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect would carry the key to an address that the user did not name."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class ModelServer:
    """One server at `url`; every request is bounded in time and size."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = TIMEOUT_SECONDS) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ArchitectureError(
                f"`{url}` is no server's address", hint="write it like `http://localhost:11434`"
            )
        path = re.sub(r"/v1/?$", "", parts.path).rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc}{path}"
        self.key = key
        self.timeout = timeout
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if parts.hostname in ("localhost", "127.0.0.1", "::1"):
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy would ask its own loopback
        self.opener = urllib.request.build_opener(*handlers)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """The JSON object at `path`; None when the server does not know the path.

        Raises ArchitectureError when the server cannot be reached or answers with something else.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, data=data, headers=headers)  # noqa: S310  scheme checked
        try:
            with self.opener.open(request, timeout=self.timeout) as reply:
                raw = reply.read(LARGEST_REPLY + 1)
        except urllib.error.HTTPError as error:
            with error:
                self._check_refusal(path, error.code)
            return None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ArchitectureError(
                f"no answer from {self.url}: {reason}", hint="start the server, or correct its address"
            ) from error
        return self._decoded(path, raw)

    def _check_refusal(self, path: str, code: int) -> None:
        if code in (401, 403):
            raise ArchitectureError(f"{self.url}{path} refused access ({code})", hint=key_hint(self.url))
        if code >= 500:
            raise ArchitectureError(f"{self.url}{path} failed ({code})", hint="look into the server's log")

    def _decoded(self, path: str, raw: bytes) -> Mapping[str, Any] | None:
        if len(raw) > LARGEST_REPLY:
            raise ArchitectureError(f"{self.url}{path} sent more than {LARGEST_REPLY:,} bytes")
        try:
            values = json.loads(raw)
        except (ValueError, RecursionError):
            return None  # a web page or a plain text: not the interface that was asked for
        return values if isinstance(values, Mapping) else None


def describe_server(url: str, *, model: str | None = None, key: str | None = None) -> Architecture:
    """The architecture and the allocated window of the model that `url` serves.

    `model` names one of several. llama.cpp is tried first, then Ollama, then any OpenAI-compatible server,
    since llama.cpp also imitates the other two. Raises ArchitectureError when none of them answers, when
    the model is not there, or when several are and none was named.
    """
    server = ModelServer(url, key=key)
    props = server.ask("/props")
    if props is not None and "default_generation_settings" in props:
        return _describe_llama_cpp(server, props)
    if "version" in (server.ask("/api/version") or {}):
        return _describe_ollama(server, model)
    models = server.ask("/v1/models")
    if models is not None and isinstance(models.get("data"), Sequence):
        return parse_openai_models(models, model=model, source=server.url)
    raise ArchitectureError(
        f"{server.url} is neither llama.cpp, Ollama nor an OpenAI-compatible server",
        hint="name the address without a path, like `http://localhost:8080`",
    )


def _unknown(name: str, source: str, *, notes: tuple[str, ...]) -> Architecture:
    """A description of which only windows are known."""
    return Architecture(
        name=name,
        family="unknown",
        source=source,
        layers=(),
        hidden_size=0,
        heads=0,
        vocabulary=0,
        feed_forward=0,
        parameters=0,
        active_parameters=0,
        notes=notes,
    )


# ------------------------------------------------------------------------- llama.cpp


def _describe_llama_cpp(server: ModelServer, props: Mapping[str, Any]) -> Architecture:
    models = server.ask("/v1/models") or {}
    return parse_llama_cpp(props, models, source=server.url)


def parse_llama_cpp(props: Mapping[str, Any], models: Mapping[str, Any], *, source: str) -> Architecture:
    """From `/props` and `/v1/models` of llama-server.

    `default_generation_settings.n_ctx` is the window of one slot, which is what one prompt can have. If the
    model's file can be read from here, it gives the layers.
    """
    settings = Fields(Fields(props, source).mapping("default_generation_settings"), source)
    allocated = settings.integer("n_ctx")
    path = Fields(props, source).text("model_path")
    described = _local_gguf(path, source)
    if described is None:
        described = _llama_cpp_metadata(models, Path(path).stem or "model", source)
    slots = Fields(props, source).integer("total_slots", default=1)
    return replace(described, allocated_window=allocated, server="llama.cpp", server_slots=slots)


def _local_gguf(path: str, source: str) -> Architecture | None:
    """The server's own model file, when this machine has it; None otherwise."""
    if not path or not Path(path).is_file():
        return None
    return replace(read_gguf(Path(path)), source=f"{source} ({path})")


def _llama_cpp_metadata(models: Mapping[str, Any], name: str, source: str) -> Architecture:
    """What `/v1/models` adds when the file is elsewhere: sizes, but no layers."""
    listed = models.get("data")
    first = listed[0] if isinstance(listed, Sequence) and listed and isinstance(listed[0], Mapping) else {}
    meta = Fields(Fields(first, source).mapping("meta"), source)
    described = _unknown(
        name, source, notes=("the server's model file is not on this machine: its layers are unknown",)
    )
    return replace(
        described,
        vocabulary=meta.integer("n_vocab", default=0),
        hidden_size=meta.integer("n_embd", default=0),
        parameters=meta.integer("n_params", default=0, maximum=2**48),
        weight_bytes=meta.optional_integer("size", maximum=2**50),
        trained_window=meta.optional_integer("n_ctx_train"),
    )


# ---------------------------------------------------------------------------- Ollama


def _describe_ollama(server: ModelServer, model: str | None) -> Architecture:
    running = server.ask("/api/ps") or {}
    tags = server.ask("/api/tags") or {}
    name = model or _only_ollama_model(running, tags, server.url)
    shown = server.ask("/api/show", {"model": name})
    if shown is None:
        raise ArchitectureError(f"{server.url} has no model `{name}`", hint=f"run `ollama pull {name}`")
    if _is_abridged(shown):
        shown = server.ask("/api/show", {"model": name, "verbose": True}) or shown
    return parse_ollama(shown, running=running, tags=tags, name=name, source=server.url)


def _is_abridged(shown: Mapping[str, Any]) -> bool:
    """Without `verbose` Ollama empties every list, such as the key-value heads of each layer."""
    info = Fields(shown, "").mapping("model_info")
    prefix = info.get("general.architecture")
    listed = any(
        key.startswith(f"{prefix}.") and (value is None or value == []) for key, value in info.items()
    )
    return listed or f"{prefix}.vocab_size" not in info


def _only_ollama_model(running: Mapping[str, Any], tags: Mapping[str, Any], source: str) -> str:
    for reply in (running, tags):
        names = [entry["name"] for entry in _entries(reply) if isinstance(entry.get("name"), str)]
        if len(names) == 1:
            return str(names[0])
        if names:
            listed = ", ".join(f"`{name}`" for name in names[:8])
            raise ArchitectureError(f"{source} serves several models: {listed}", hint="name one of them")
    raise ArchitectureError(f"{source} has no model", hint="run `ollama pull MODEL`")


def _entries(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = reply.get("models")
    if not isinstance(listed, Sequence):
        return []
    return [entry for entry in listed if isinstance(entry, Mapping)]


def _entry(reply: Mapping[str, Any], name: str, source: str) -> Fields:
    """The entry of that name; Ollama adds `:latest` to a name without a tag."""
    wanted = {name, f"{name}:latest"}
    for entry in _entries(reply):
        if entry.get("name") in wanted or entry.get("model") in wanted:
            return Fields(entry, source)
    return Fields({}, source)


def parse_ollama(
    shown: Mapping[str, Any],
    *,
    running: Mapping[str, Any],
    tags: Mapping[str, Any],
    name: str,
    source: str,
) -> Architecture:
    """From `/api/show`, `/api/ps` and `/api/tags`.

    `/api/show` gives the trained window and perhaps a requested `num_ctx`; only `/api/ps` says what is
    allocated, and only while the model is loaded.
    """
    info = dict(Fields(shown, source).mapping("model_info"))
    described = architecture_from_metadata(info, (), name=name, source=source)
    details = Fields(Fields(shown, source).mapping("details"), source)
    notes = described.notes
    allocated = _entry(running, name, source).optional_integer("context_length")
    if allocated is None:
        notes += ("the model is not loaded: its window may be cut to the server's default when it is",)
    return replace(
        described,
        name=name,
        weight_type=details.text("quantization_level", "f16").lower(),
        weight_bytes=_entry(tags, name, source).optional_integer("size", maximum=2**50),
        allocated_window=allocated,
        requested_window=_requested_window(Fields(shown, source).text("parameters")),
        server="ollama",
        notes=notes,
    )


def _requested_window(parameters: str) -> int | None:
    """`num_ctx` among the model's parameters, which come as lines of text."""
    match = re.search(r"^\s*num_ctx\s+(\d{1,9})\s*$", parameters, re.MULTILINE)
    return int(match.group(1)) if match and int(match.group(1)) > 0 else None


# ------------------------------------------------------------------ vLLM and the others


def parse_openai_models(reply: Mapping[str, Any], *, model: str | None, source: str) -> Architecture:
    """From `/v1/models`: vLLM adds `max_model_len`, the allocated window; others say nothing of it.

    The layers are unknown from here; the caller may find them by the model's name.
    """
    listed = [entry for entry in reply.get("data", ()) if isinstance(entry, Mapping) and entry.get("id")]
    chosen = _chosen(listed, model, source)
    fields = Fields(chosen, source)
    name = fields.text("root") or fields.text("id")
    window = fields.optional_integer("max_model_len")
    notes = () if window else ("the server does not say how long a prompt may be",)
    is_vllm = bool(window) or fields.text("owned_by") == "vllm"
    return replace(
        _unknown(name, source, notes=notes),
        allocated_window=window,
        server="vllm" if is_vllm else "openai",
    )


def _chosen(listed: list[Mapping[str, Any]], model: str | None, source: str) -> Mapping[str, Any]:
    if not listed:
        raise ArchitectureError(f"{source} serves no model", hint="load a model into the server")
    if model is None and len(listed) == 1:
        return listed[0]
    for entry in listed:
        if entry["id"] == model or entry.get("root") == model:
            return entry
    names = ", ".join(f"`{entry['id']}`" for entry in listed[:8])
    problem = f"has no model `{model}`, but {names}" if model else f"serves several models: {names}"
    raise ArchitectureError(f"{source} {problem}", hint="name one of them")
