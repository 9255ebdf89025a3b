"""The two steps of the `scale` benchmark, each a process of its own: write a store; open and search it.

Run by `scale` as `scale_steps.py write FOLDER CHUNKS` and `scale_steps.py read FOLDER`; prints one line of
JSON. Peak memory is that of the whole process, imports included.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ragstack.records import Chunk, ChunkerSettings, Document, FileStat, Filter, Fingerprint
from ragstack.store.documents import IncomingDocument
from ragstack.store.sources import FOLDER, Place
from ragstack.store.store import Store

CHUNKS_OF_A_DOCUMENT = 500
NO_FILTER = Filter()
NEAREST = 10
DEEP = 100
"""As many candidates as retrieval asks for."""


def write(folder: Path, count: int) -> dict[str, float]:
    """Commit `count` chunks in documents, publish as an ingest does; seconds and bytes."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.scale import mixes

    windows = np.load(folder / "windows.npy", mmap_mode="r")
    started = time.perf_counter()
    publishing = 0.0
    with Store.create(folder / "store") as store, store.write() as writer:
        generation = writer.create_generation(
            _fingerprint(windows.shape[1]), ChunkerSettings(64, 16), np.array(windows[:3])
        )
        source = writer.ensure_source(Place(None, FOLDER, "/scale", ""))
        number = 0
        for batch in mixes(windows, count):
            for at in range(0, len(batch), CHUNKS_OF_A_DOCUMENT):
                rows = np.asarray(batch[at : at + CHUNKS_OF_A_DOCUMENT], np.float32)
                writer.put_document(_document(source, number, rows), generation)
                publishing += _timed(lambda: writer.publish(generation, final=False))
                number += 1
        publishing += _timed(lambda: writer.publish(generation, final=True))
    return {
        "write_seconds": time.perf_counter() - started,
        "publish_seconds": publishing,
        "write_peak": _peak_memory(),
    }


def read(folder: Path) -> dict[str, object]:
    """Open the store, search it by every question, add a document and find it."""
    questions, nearest = np.load(folder / "questions.npy"), np.load(folder / "nearest.npy")
    started = time.perf_counter()
    with Store.open(folder / "store") as store:
        with store.read() as snapshot:
            opened = time.perf_counter() - started
            search: Callable[[np.ndarray, int], list[int]] = lambda question, limit: [  # noqa: E731
                found.chunk_id for found in snapshot.dense_candidates(question, limit, NO_FILTER)
            ]
            found, seconds = _searched(search, questions, NEAREST)
            _, deep = _searched(search, questions, DEEP)
            segments = snapshot.segments()
        peak = _peak_memory()
        one_more = _timed(lambda: _add_and_find(store, questions[0]))
        shares = [
            len({*ids} & {*true}) / len(true) for ids, true in zip(found, nearest.tolist(), strict=True)
        ]
        return {
            "open_seconds": opened,
            "search_p50": float(np.quantile(seconds, 0.5)),
            "search_p95": float(np.quantile(seconds, 0.95)),
            "deep_p50": float(np.quantile(deep, 0.5)),
            "recall": float(np.mean(shares)),
            "recorded_recall": min(float(each.details.get("recall_at_10", 1)) for each in segments),
            "read_peak": peak,
            "index_bytes": sum(each.bytes for each in segments),
            "index_kind": " + ".join(f"{each.kind} {each.vectors:,}" for each in segments),
            "segments": [{"kind": each.kind, "vectors": each.vectors, **each.details} for each in segments],
            "database_bytes": store.database.stat().st_size,
            "one_more_seconds": one_more,
        }


def _searched(
    search: Callable[[np.ndarray, int], list[int]], questions: np.ndarray, limit: int
) -> tuple[list[list[int]], list[float]]:
    """Ids found and seconds taken by each question, after one that warms up."""
    search(questions[-1], limit)
    found, seconds = [], []
    for question in questions:
        started = time.perf_counter()
        found.append(search(question, limit))
        seconds.append(time.perf_counter() - started)
    return found, seconds


def _add_and_find(store: Store, like: np.ndarray) -> None:
    """Commit one more document of one chunk and search until it is found, which must be at once."""
    rows = like.reshape(1, -1)
    with store.write() as writer:
        generation = writer.generation()
        assert generation is not None
        source = writer.ensure_source(Place(None, FOLDER, "/scale", ""))
        document = writer.put_document(_document(source, -1, rows), generation)
        writer.publish(generation, final=True)
    with store.read() as snapshot:
        [best] = snapshot.dense_candidates(like, 1, NO_FILTER)
        if best.chunk_id not in snapshot.chunk_ids(document):
            raise RuntimeError("a document that was committed is not found")


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _document(source: int, number: int, rows: np.ndarray) -> IncomingDocument:
    """A document with a line of text for each row of vectors."""
    lines = [f"Passage {position} of synthetic document {number}\n" for position in range(len(rows))]
    chunks, at = [], 0
    for line in lines:
        body = line.rstrip("\n")
        chunks.append(Chunk(at, at + len(body), body, len(body.split()), (), "", f"{number} {body}"))
        at += len(line)
    text = "".join(lines)
    document = Document(text=text, media_type="text/plain", reader="text", reader_version=1)
    return IncomingDocument(
        source_id=source,
        path=f"{number}.txt",
        document=document,
        content_hash=f"{number}",
        stat=FileStat(len(text), 1, 1, 1),
        read_at_ns=10**18,
        chunks=chunks,
        vectors=rows,
    )


def _fingerprint(dimension: int) -> Fingerprint:
    return Fingerprint(
        name="synthetic", revision=None, weights="", tokenizer="", configuration="", dimension=dimension,
        max_tokens=64, pooling="mean", normalised=True, query_prompt="", document_prompt="",
    )  # fmt: skip


def _peak_memory() -> int:
    """Most bytes that this process had in memory; on Linux since it began to run this program."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1_024
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)


if __name__ == "__main__":
    step, where = sys.argv[1], Path(sys.argv[2])
    measures = write(where, int(sys.argv[3])) if step == "write" else read(where)
    sys.stdout.write(json.dumps(measures) + "\n")
