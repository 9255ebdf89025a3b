"""Stores as released revisions of the schema left them, and what they held: made once, upgraded by tests.

`python tests/support/released_store.py` packs a store of the present revision into `tests/store/released/`.
Run it with the code of a release, when the revision is new, and commit the file; never make an old one anew.
The store has documents of several formats, a text given by name, a changed, a removed and an unreadable
document, files named one by one, masked vectors, an unpublished tail, and a second generation half built.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from deterministic_embedder import DeterministicEmbedder

RELEASED = Path(__file__).resolve().parents[1] / "store" / "released"
EXPECTED = "expected.json"
DIMENSION = 8
CHUNK_SIZE, OVERLAP = 24, 6


def pdf_of_pages(*texts: str) -> bytes:
    """A PDF with a page a text."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(texts)))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {len(texts)}>>"]
    font = "/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    for number, text in enumerate(texts):
        drawn = f"BT /F 12 Tf 72 720 Td ({text}) Tj ET"
        content = f"{4 + 2 * number} 0 R"
        box = "/MediaBox[0 0 612 792]"
        objects.append(f"<</Type/Page/Parent 2 0 R{box}/Resources<<{font}>>/Contents {content}>>")
        objects.append(f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream")
    body, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj{each}endobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


FILES: dict[str, str | bytes] = {
    "harbour.md": "---\nauthor: Ann\n---\n# Harbour\n\nThe lantern hangs above the quay.\n\n"
    "## Tides\n\nThe tide turns at noon, and the ferry leaves the jetty.\n",
    "page.html": "<html><head><title>Orchard</title></head><body><h1>Orchard</h1><p>Apples ripen late.</p>"
    "<ul><li>cider</li><li>perry</li></ul></body></html>",
    "pages.pdf": pdf_of_pages("The first page is about sails.", "The second page is about anchors."),
    "code.py": "def height(mean: float) -> float:\n    return mean + 1.0\n",
    "deep/japanese.txt": "海は静かです。灯台が光っています。\n船は港に戻りました。\n",
    "deep/long.txt": "".join(f"Entry {number} names buoy {number * 37 % 1009}.\n" for number in range(420)),
    "changed.txt": "The old wording of the notice.\n",
    "removed.txt": "This page leaves the store again.\n",
    "broken.pdf": b"%PDF-1.4\nnothing that a reader could use\n",
}


def embedder(seed: int = 0) -> DeterministicEmbedder:
    """The embedder of a released store; with another seed the one of its half-built generation."""
    return DeterministicEmbedder(dimension=DIMENSION, seed=seed)


def make(target: Path) -> None:
    """Make a store with the ragstack that is installed, and pack it with what it holds into `target`."""
    with tempfile.TemporaryDirectory() as temporary:
        store = Path(temporary) / "store"
        _fill(store, Path(temporary) / "library")
        _interrupt_reembedding(store)
        _pack(store, _expected(store), target)


def _fill(store: Path, folder: Path) -> None:
    from ragstack.store import segments
    from ragstack.system import RAGSystem

    segments.PUBLISH_AT = 4  # so that a small store has a segment, masked vectors and a tail
    for name, content in FILES.items():
        path = folder / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    single = folder / "single.txt"
    single.write_text("A file that was named by itself.\n")
    with RAGSystem.open(store, embedder=embedder(), chunk_size=CHUNK_SIZE, overlap=OVERLAP) as rag:
        rag.ingest([folder / "notes", single])
        rag.add_document("The gate opens at six.", name="gate", metadata={"place": "north"})
        (folder / "notes" / "changed.txt").write_text("The new wording of the notice.\n")
        (folder / "notes" / "removed.txt").unlink()
        rag.ingest(folder / "notes")
        segments.PUBLISH_AT = 10**6
        rag.add_document("A text in the tail, which no segment covers.", name="tail")


def _interrupt_reembedding(store: Path) -> None:
    """Leave a generation half built, as a crash does."""
    from ragstack.store import failpoints
    from ragstack.system import RAGSystem

    left = 3

    def callback(step: str) -> None:
        nonlocal left
        left -= step == "chunks committed"
        if left == 0:
            raise InterruptedError

    with RAGSystem.open(store, create=False, embedder=embedder()) as rag:
        failpoints.arm(callback)
        try:
            rag.reembed(embedder=embedder(1))
        except InterruptedError:
            return
        finally:
            failpoints.arm(None)
    raise RuntimeError("the re-embedding was not interrupted")


def _expected(store: Path) -> dict[str, Any]:
    """What the store holds, read with SQL of its own time."""
    with closing(sqlite3.connect(store / "ragstack.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not row[0].startswith(("sqlite_", "alembic_", "chunk_search_"))
        ]
        texts = dict(connection.execute(
            "SELECT path, (SELECT group_concat(text, '') FROM (SELECT text FROM text_blocks b "
            "WHERE b.document_id = d.id ORDER BY start)) FROM documents d ORDER BY path"))  # fmt: skip
        chunks = connection.execute(
            'SELECT c.id, d.path, c.position, c.start, c."end", hex(v.vector) FROM chunks c '
            "JOIN documents d ON d.id = c.document_id JOIN vectors v ON v.chunk_id = c.id "
            "JOIN generations g ON g.id = c.generation_id WHERE g.state = 'current' ORDER BY c.id"
        ).fetchall()
        return {
            "revision": connection.execute("SELECT version_num FROM alembic_version").fetchone()[0],
            "rows": {n: connection.execute(f"SELECT count(*) FROM {n}").fetchone()[0] for n in tables},
            "triggers": [row[0] for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name")],
            "texts": {path: hashlib.sha256(body.encode()).hexdigest() for path, body in texts.items()},
            "chunks": chunks,
            "metadata": connection.execute(
                "SELECT d.path, m.key, m.value FROM document_metadata m JOIN documents d "
                "ON d.id = m.document_id ORDER BY d.path, m.key").fetchall(),
        }  # fmt: skip


def _pack(store: Path, expected: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.write(store / "ragstack.db", "ragstack.db")
        for path in sorted((store / "index").glob("*.faiss")):
            packed.write(path, f"index/{path.name}")
        packed.writestr(EXPECTED, json.dumps(expected, ensure_ascii=False))


def released_revisions() -> list[str]:
    """The revisions of which a store is kept, oldest first."""
    return sorted(path.stem for path in RELEASED.glob("*.zip"))


def unpack(revision: str, directory: Path) -> dict[str, Any]:
    """Put the kept store of `revision` into the new `directory`; returns what it held."""
    with zipfile.ZipFile(RELEASED / f"{revision}.zip") as packed:
        for name in packed.namelist():
            if name != EXPECTED:
                packed.extract(name, directory)
        expected: dict[str, Any] = json.loads(packed.read(EXPECTED))
    return expected


@contextmanager
def unpacked(revision: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The kept store of `revision` in a temporary directory, and what it held."""
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary) / "store", unpack(revision, Path(temporary) / "store")


if __name__ == "__main__":
    from ragstack.store.migrations import HEAD

    made = Path(sys.argv[1]) if len(sys.argv) > 1 else RELEASED / f"{HEAD}.zip"
    if made.exists():
        sys.exit(f"Error: `{made}` is there already, and a kept store is never made anew")
    make(made)
    sys.stdout.write(f"{made}: {made.stat().st_size:,} bytes\n")
