"""A model is compiled once, gives the original's vectors, and is made anew or left out when it does not."""

import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_models import SENTENCES

from ragstack.embedding import bert_graph, compiled, openvino_runtime, sentence
from ragstack.embedding.compiled import open_original, shipped_vectors
from ragstack.embedding.fingerprint import PROBE_COSINE, lowest_cosine
from ragstack.embedding.model_cache import HEADER_BYTES, read_cached, write_cached
from ragstack.embedding.models import locate_model
from ragstack.embedding.openvino_runtime import OpenVinoRuntime
from ragstack.embedding.runtime import TokenBatch, pad
from ragstack.embedding.sentence import SentenceTransformerEmbedder
from ragstack.embedding.torch_runtime import TorchRuntime
from ragstack.errors import EmbeddingError
from ragstack.inspection.doctor import embedding_model

TEXTS = [*SENTENCES[:2], "", "the library of the committee on Tuesday", "x", "検索 naïve"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ragstack" / "models"


@pytest.fixture
def told():
    return []


def opened(folder, told=None):
    model = locate_model(str(folder), offline=True)
    return SentenceTransformerEmbedder(model, announce=told.append if told is not None else None)


def original(folder):
    model = locate_model(str(folder), offline=True)
    return SentenceTransformerEmbedder(model, open_runtime=open_original)


@pytest.mark.parametrize("name", ["tiny_folder", "tiny_dense_folder", "tiny_roberta_folder", "minilm_folder"])
def test_the_compiled_model_gives_the_original_s_vectors(name, request):
    folder = request.getfixturevalue(name)
    embedder, exact = opened(folder), original(folder)

    assert lowest_cosine(embedder.embed_documents(TEXTS), exact.embed_documents(TEXTS)) >= PROBE_COSINE
    assert embedder.embed_query("window") @ exact.embed_query("window") >= PROBE_COSINE
    assert isinstance(embedder._opened, OpenVinoRuntime)
    assert embedder.fingerprint == exact.fingerprint


def test_prompts_that_are_not_pooled_are_left_out_of_a_compiled_model_too(tiny_folder, copy_of):
    pooling = {"include_prompt": False}
    folder = copy_of(tiny_folder, **{"1_Pooling/config": pooling})

    some, others = opened(folder).embed_documents(TEXTS), original(folder).embed_documents(TEXTS)
    assert lowest_cosine(some, others) >= PROBE_COSINE
    assert lowest_cosine(some, opened(tiny_folder).embed_documents(TEXTS)) < PROBE_COSINE


def test_a_text_s_vector_hardly_depends_on_the_others_of_its_batch(minilm):
    texts = [sentence * times for sentence in SENTENCES for times in (1, 3, 7)]
    together = minilm.embed_documents(texts)

    alone = np.stack([minilm.embed_documents([text])[0] for text in texts])
    assert lowest_cosine(together, alone) > 0.99999
    assert np.array_equal(together, minilm.embed_documents(texts))


def test_the_shipped_vectors_are_those_of_sentence_transformers(minilm):
    rows = compiled.check_rows(minilm)
    found = compiled.check_vectors(open_original(minilm), minilm, rows)[: len(rows)]

    assert lowest_cosine(shipped_vectors(minilm), found) > 0.99999
    assert max(len(row) for row in rows) > 0.9 * minilm.max_tokens


def test_threads_share_a_compiled_model(tiny_folder):
    embedder = opened(tiny_folder)
    expected, found = embedder.embed_documents(TEXTS), []
    threads = [
        threading.Thread(target=lambda: found.append(embedder.embed_documents(TEXTS))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert all(np.array_equal(vectors, expected) for vectors in found)


# ------------------------------------------------------------------------ many batches


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(openvino_runtime, "BATCH_TOKENS", 32)


MANY_TEXTS = [f"{text} {number}" for number in range(30) for text in TEXTS]


def test_many_batches_in_streams_give_the_vectors_of_one_after_the_other(
    tiny_folder, monkeypatch, small_batches
):
    told = []
    in_streams = opened(tiny_folder)
    found = in_streams.embed_documents(MANY_TEXTS, progress=told.append)
    assert in_streams._opened._requests
    assert (sum(told), len(told) >= sentence.MANY_BATCHES) == (len(MANY_TEXTS), True)

    monkeypatch.setattr(sentence, "MANY_BATCHES", 10_000)
    one_by_one = opened(tiny_folder)
    assert np.array_equal(found, one_by_one.embed_documents(MANY_TEXTS))
    assert not one_by_one._opened._requests


def test_a_failure_among_many_batches_is_reported_and_leaves_the_rest_usable(tiny_folder, small_batches):
    embedder = opened(tiny_folder)
    expected = embedder.embed_documents(MANY_TEXTS)
    rows = embedder.tokenizer.model_input(MANY_TEXTS[:20])
    good = [pad([row], embedder.description.padding_id) for row in rows]
    torn = TokenBatch(np.ones((2, 4), dtype=np.int64), np.ones((3, 5), dtype=np.int64))

    for place in (0, 7, 20):
        with pytest.raises(EmbeddingError, match="the embedding model failed"):
            list(embedder._opened.run_each([*good[:place], torn, *good[place:]]))
    assert np.array_equal(embedder.embed_documents(MANY_TEXTS), expected)


def test_a_vector_that_fails_its_check_does_not_hold_up_the_next_texts(
    tiny_folder, monkeypatch, small_batches
):
    embedder = opened(tiny_folder)
    expected = embedder.embed_documents(MANY_TEXTS)
    checked = SentenceTransformerEmbedder._checked

    def spoilt(self, output, rows):
        return checked(self, output * (0.0 if 50 in rows else 1.0), rows)

    monkeypatch.setattr(SentenceTransformerEmbedder, "_checked", spoilt)
    with pytest.raises(EmbeddingError, match="a zero vector") as kept:
        embedder.embed_documents(MANY_TEXTS)
    monkeypatch.setattr(SentenceTransformerEmbedder, "_checked", checked)

    found = []
    thread = threading.Thread(target=lambda: found.append(embedder.embed_documents(MANY_TEXTS)), daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert len(found) == 1, f"still waiting after {kept.value}"
    assert np.array_equal(found[0], expected)


# -------------------------------------------------------------------------- the cache


def only_file(cache):
    (path,) = cache.iterdir()
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[: HEADER_BYTES + 9] + b"?" + content[HEADER_BYTES + 10 :],
        lambda content: b"",
        lambda content: b"\xff" * len(content),
        lambda content: content.replace(b'"format": 1', b'"format": 0', 1),
        lambda content: b'["a list"]'.ljust(HEADER_BYTES),
    ],
)
def test_a_damaged_cache_is_made_anew_with_one_line(tiny_folder, cache, told, damage):
    expected = opened(tiny_folder, told).embed_documents(TEXTS)
    path = only_file(cache)
    path.write_bytes(damage(path.read_bytes()))
    told.clear()

    assert np.array_equal(opened(tiny_folder, told).embed_documents(TEXTS), expected)
    assert [line for line in told if "damaged" in line and path.as_posix() in line]
    told.clear()
    opened(tiny_folder, told).embed_query("one")
    assert told == []
    assert only_file(cache) == path


def test_a_whole_file_that_is_no_compiled_model_is_made_anew(tiny_folder, cache, told):
    opened(tiny_folder, told).embed_query("one")
    path = only_file(cache)
    write_cached(path, replace(read_cached(path), data=np.zeros(5_000, dtype=np.uint8)))
    told.clear()

    opened(tiny_folder, told).embed_query("one")
    assert "OpenVINO does not read it" in told[0]


def test_a_cache_that_cannot_be_written_costs_only_time(tiny_folder, tmp_path, monkeypatch, told):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    embedder = opened(tiny_folder, told)

    embedder.embed_query("one")
    assert isinstance(embedder._opened, OpenVinoRuntime)
    assert "cannot be kept" in told[-1]


def test_forms_for_other_processors_are_kept_up_to_a_few(tiny_folder, cache, monkeypatch):
    for number in range(5):
        monkeypatch.setattr(compiled, "compiled_for", lambda number=number: f"processor{number}")
        opened(tiny_folder).embed_query("one")

    assert sorted(path.name.rpartition("-")[2] for path in cache.iterdir()) == [
        f"processor{number}.compiled" for number in (2, 3, 4)
    ]


# ------------------------------------------------------------------------ the original


def test_a_graph_that_gives_other_vectors_is_refused_once_and_said_every_time(
    tiny_folder, cache, monkeypatch, told
):
    build = bert_graph.build_bert

    def build_wrongly(description):
        graph = build(description)
        for node in graph.get_ops():
            if node.get_type_name() == "MVN":
                node.set_attribute("eps", 9.0)
        return graph

    monkeypatch.setattr(compiled, "build_bert", build_wrongly)
    embedder = opened(tiny_folder, told)
    exact = original(tiny_folder).embed_documents(TEXTS)

    assert np.array_equal(embedder.embed_documents(TEXTS), exact)
    assert "runs through sentence-transformers: compiled, its vectors differ" in told[-1]
    monkeypatch.setattr(compiled, "build_bert", lambda description: pytest.fail("compiled again"))
    told.clear()
    assert np.array_equal(opened(tiny_folder, told).embed_documents(TEXTS), exact)
    assert len(told) == 1


def test_full_precision_takes_the_place_of_a_quicker_one_that_differs(
    tiny_folder, copy_of, cache, monkeypatch, told
):
    other = copy_of(tiny_folder)
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] *= -1
    save_file(weights, other / "model.safetensors")
    compile_graph = compiled.compile_graph

    def compile_other_in_bf16(graph, precision):
        other_graph = bert_graph.build_bert(opened(other).description)
        return compile_graph(other_graph if precision == "bf16" else graph, "f32")

    monkeypatch.setattr(compiled, "compile_graph", compile_other_in_bf16)
    monkeypatch.setattr(compiled, "precisions", lambda: ("bf16", "f32"))

    some = opened(tiny_folder, told).embed_documents(TEXTS)
    assert lowest_cosine(some, original(tiny_folder).embed_documents(TEXTS)) > 0.99999
    assert only_file(cache).read_bytes().startswith(b'{"precision": "f32"')


def test_a_model_that_cannot_be_traced_runs_as_it_is(tiny_roberta_folder, cache, monkeypatch, told):
    def refuse(*_, **__):
        raise RuntimeError("first line\nunsupported operation")

    monkeypatch.setattr(torch.jit, "trace", refuse)
    embedder = opened(tiny_roberta_folder, told)

    exact = original(tiny_roberta_folder).embed_documents(TEXTS)
    assert np.array_equal(embedder.embed_documents(TEXTS), exact)
    assert told[-1].endswith("it cannot be exported: unsupported operation")


def test_without_openvino_the_original_is_used_and_one_line_says_so(tiny_folder, monkeypatch, told):
    monkeypatch.setitem(sys.modules, "openvino", None)
    embedder = opened(tiny_folder, told)

    embedder.embed_query("one")
    assert isinstance(embedder._opened, TorchRuntime)
    assert len(told) == 1
    assert "OpenVINO is not installed" in told[0]


def test_a_compiled_model_that_fails_while_it_runs_raises_one_line(tiny_folder):
    class Failing:
        def create_infer_request(self):
            return self

        def infer(self, *_, **__):
            raise RuntimeError("Exception from src/inference:80:\nmore")

    embedder = SentenceTransformerEmbedder(
        locate_model(str(tiny_folder), offline=True), open_runtime=lambda _: OpenVinoRuntime(Failing())
    )
    with pytest.raises(EmbeddingError, match="the embedding model failed") as caught:
        embedder.embed_query("one")
    assert "\n" not in caught.value.message


# -------------------------------------------------------------------------------- GPU


@pytest.mark.parametrize(
    ("build", "platform", "devices", "expected"),
    [
        ("2.13.0+cpu", "linux", 1, False),
        ("2.13.0", "linux", 1, True),
        ("2.13.0+cu130", "win32", 2, True),
        ("2.13.0", "linux", 0, False),
        ("2.13.0", "darwin", 1, False),
    ],
)
def test_a_gpu_counts_when_torch_was_built_for_it(monkeypatch, build, platform, devices, expected):
    from ragstack.embedding import gpu

    monkeypatch.setattr("importlib.metadata.version", lambda _: build)
    monkeypatch.setattr(gpu.sys, "platform", platform)
    monkeypatch.setattr(gpu, "_cuda_devices", lambda: devices)
    assert gpu.has_gpu.__wrapped__() is expected


def test_a_gpu_that_torch_does_not_use_is_said_once_and_left_alone(tiny_folder, monkeypatch, told):
    monkeypatch.setattr(sentence, "has_gpu", lambda: True)
    embedder = opened(tiny_folder, told)
    texts = ["window"] * sentence.GPU_FROM_TEXTS

    embedder.embed_documents(texts)
    embedder.embed_documents(texts)
    assert isinstance(embedder._opened, OpenVinoRuntime)
    assert [line for line in told if "GPU" in line] == [
        "torch does not use the GPU of this machine; embedding on the processor"
    ]


def test_many_texts_go_to_the_gpu_and_a_question_does_not(tiny_folder, monkeypatch):
    monkeypatch.setattr(sentence, "has_gpu", lambda: True)
    monkeypatch.setattr(TorchRuntime, "is_on_gpu", property(lambda _: True))
    embedder = opened(tiny_folder)
    embedder.embed_query("one")
    assert embedder._on_gpu is None

    many = embedder.embed_documents(["window " * (n % 40) for n in range(sentence.GPU_FROM_TEXTS)])
    assert isinstance(embedder._on_gpu, TorchRuntime)
    assert isinstance(embedder._opened, OpenVinoRuntime)
    assert (
        lowest_cosine(many[:40], embedder.embed_documents(["window " * n for n in range(40)])) >= PROBE_COSINE
    )


def test_the_threads_that_the_user_allows_are_passed_on(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert openvino_runtime._configuration("f32")["INFERENCE_NUM_THREADS"] == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert "INFERENCE_NUM_THREADS" not in openvino_runtime._configuration("f32")


def test_a_thorough_doctor_finds_a_compiled_model_that_is_another(tiny_folder, copy_of, cache):
    other = copy_of(tiny_folder)
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] *= -1
    save_file(weights, other / "model.safetensors")
    opened(other).embed_query("one")
    foreign = only_file(cache)
    opened(tiny_folder).embed_query("one")
    (own,) = (path for path in cache.iterdir() if path != foreign)

    check = embedding_model(str(tiny_folder), None, offline=True, thorough=True)
    assert check.detail.endswith("read whole and loaded")
    foreign.replace(own)
    with pytest.raises(EmbeddingError, match="vectors differ from those of sentence-transformers") as caught:
        embedding_model(str(tiny_folder), None, offline=True, thorough=True)
    assert f"delete `{cache}`" in caught.value.hint
