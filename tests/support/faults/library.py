"""What the campaign puts into stores: folders of small texts, and short ways to run ragstack over them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from deterministic_embedder import DeterministicEmbedder

from ragstack.config import DATABASE_FILE
from ragstack.ingestion import batch
from ragstack.loading.readers import extract
from ragstack.records import FileOutcome, FileState
from ragstack.store import building, segments, writer
from ragstack.store.generations import IndexGeneration, current_generation
from ragstack.store.store import Store
from ragstack.system import RAGSystem

DIMENSION = 16
CHUNK_SIZE = 24
OVERLAP = 6

WORDS = """amber basin cedar delta ember fjord grove haven inlet jetty knoll lagoon meadow nook orchard
prairie quarry ridge summit tundra upland valley willow yarrow zenith anchor beacon compass drift engine ferry
galley harbor island jigsaw keel lantern mast oar piston quay rudder sextant tiller urchin vessel""".split()


def shrink_thresholds() -> None:
    """Publish, merge, flush and drop after a few documents, so that small stores go through every step.

    Segments of a few vectors are inverted files, of which all lists are searched: what is found can then be
    compared with what comparing with every vector finds.
    """
    building.APPROXIMATE_FROM = 12
    building.TARGET_RECALL = 1.1
    segments.PUBLISH_AT = 4
    segments.MAX_TAIL = 24
    batch.FLUSH_DOCUMENTS = 3
    writer.DROP_BATCH = 10


def some_text(rng: random.Random, sentences: int | None = None) -> str:
    """A few sentences of a few words each."""
    count = sentences or rng.randint(1, 8)
    lines = [" ".join(rng.choices(WORDS, k=rng.randint(5, 12))).capitalize() + "." for _ in range(count)]
    return "\n\n".join(lines) + "\n"


def text_of_file(data: str, name: str) -> str:
    """The text that the store keeps of a file with this content."""
    return extract(data.encode(), name).text


def embedder(seed: int = 0) -> DeterministicEmbedder:
    return DeterministicEmbedder(dimension=DIMENSION, seed=seed)


def embedder_of(directory: Path) -> DeterministicEmbedder:
    """The embedder that the store in `directory` was made with."""
    generation = _generation_of(directory)
    return embedder(int(generation.fingerprint.weights.split()[-1]) if generation else 0)


def _generation_of(directory: Path) -> IndexGeneration | None:
    with Store.open(directory) as store, store.read(healing=False) as snapshot:
        return current_generation(snapshot.connection)


def create(directory: Path) -> RAGSystem:
    """Open the store in `directory` with its embedder, making it if there is none."""
    return RAGSystem.open(directory, embedder=embedder(), chunk_size=CHUNK_SIZE, overlap=OVERLAP)


def reopen(directory: Path, announce: Callable[[str], None] | None = None) -> RAGSystem:
    """Open an existing store with the embedder that it was made with."""
    return RAGSystem.open(directory, create=False, announce=announce, embedder=embedder_of(directory))


def open_or_create(directory: Path) -> RAGSystem:
    """Open the store with its embedder, making it if there is none."""
    if (directory / DATABASE_FILE).is_file() and _generation_of(directory) is not None:
        return reopen(directory)
    return create(directory)


class Acknowledging:
    """An observer that says every file as it is done."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def started(self, files: int) -> None:
        pass

    def file_done(self, outcome: FileOutcome) -> None:
        kind = "GONE" if outcome.state is FileState.REMOVED else "ACK"
        if outcome.state is not FileState.FAILED:
            self._say(f"{kind} {outcome.path}")

    def embedded(self, chunks: int) -> None:
        pass

    def warning(self, text: str) -> None:
        self._say(f"WARNING {text}")


def write_folder(folder: Path, files: dict[str, str]) -> None:
    """Make `folder` hold exactly these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_text() != content:
            path.write_text(content)


def changed_files(files: dict[str, str], rng: random.Random) -> dict[str, str]:
    """Another state of a folder: some files new, changed, renamed or gone."""
    result = dict(files)
    for _ in range(rng.randint(1, 6)):
        names = sorted(result)
        choice = rng.random()
        if choice < 0.5 or not names:
            result[f"{rng.choice(WORDS)}-{rng.randint(0, 99)}.txt"] = some_text(rng)
        elif choice < 0.75:
            result[rng.choice(names)] = some_text(rng)
        elif choice < 0.85:
            result[f"{rng.choice(WORDS)}-{rng.randint(100, 199)}.txt"] = result.pop(rng.choice(names))
        else:
            del result[rng.choice(names)]
    return result
