"""A map of the store's embeddings: chunks in the plane of greatest variance, coloured by folder.

Principal components are a projection, so the map says how much of the variance it shows: chunks that are near
on it need not be near in the space, but chunks that are far apart on it are. Near-duplicates across documents
are found in the space itself and joined by a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import MARKERS, Theme, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from ragstack.records import FloatArray
    from ragstack.system import RAGSystem

MAX_CHUNKS = 4_000
"""Chunks on the map: evenly drawn from all. More hide each other, and pairs grow with the square."""

NEAR_DUPLICATE = 0.95
"""Cosine from which chunks of different documents are joined as near-duplicates."""

MAX_FOLDERS = 7
OTHERS = "other folders"

_COLUMNS = (
    Column("chunk_id", Origin.STORED),
    Column("path", Origin.STORED),
    Column("folder", Origin.STORED),
    Column("x", Origin.COMPUTED),
    Column("y", Origin.COMPUTED),
    Column("near_duplicate_of", Origin.COMPUTED),
)


@dataclass(frozen=True, slots=True)
class PlacedChunk:
    """A chunk and the document that it belongs to."""

    chunk_id: int
    document_id: int
    path: str


def embedding_map_figure(system: RAGSystem, most: int = MAX_CHUNKS) -> Figure | None:
    """The map of at most `most` chunks of the store; None when it holds fewer than three."""
    with system.store.read() as snapshot:
        listed = [
            PlacedChunk(chunk_id, info.document_id, info.path)
            for info in snapshot.documents()
            for chunk_id in snapshot.chunk_ids(info.document_id)
        ]
        step = max(1, -(-len(listed) // most))
        drawn = listed[::step]
        found = snapshot.vectors([each.chunk_id for each in drawn])
    drawn = [each for each in drawn if each.chunk_id in found]
    return map_of_chunks(drawn, found, of=len(listed)) if len(drawn) > 2 else None


def map_of_chunks(chunks: Sequence[PlacedChunk], vectors: Mapping[int, FloatArray], *, of: int) -> Figure:
    """The map of `chunks`, drawn from `of`; `vectors` by chunk id, each of shape (dimension,)."""
    import numpy as np

    matrix = np.stack([vectors[each.chunk_id] for each in chunks])
    places, shown = _principal_components(matrix)
    duplicates = _near_duplicates(chunks, matrix)
    folders = _folders(chunks)
    rows: list[tuple[Value, ...]] = [
        (each.chunk_id, each.path, folders[each.path], float(x), float(y), duplicates.get(each.chunk_id))
        for each, (x, y) in zip(chunks, places, strict=True)
    ]
    return Figure(
        name="embedding-map",
        title="The store's embeddings by folder",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        size=(7.2, 6.4),
        notes=(
            f"{len(chunks):,} of {of:,} chunks; the plane shows {shown:.0%} of the variance",
            f"joined: chunks of different documents with a cosine of at least {NEAR_DUPLICATE}",
        ),
    )


def _principal_components(matrix: FloatArray) -> tuple[FloatArray, float]:
    """Places of shape (n, 2) in the first two principal components, and the share of variance they hold.

    From the eigenvectors of the covariance, whose size is that of a vector and not that of the store; signs
    are fixed so that the largest coordinate of an axis is positive.
    """
    import numpy as np

    centred = matrix - matrix.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    places: FloatArray = (centred @ axes).astype(np.float32)
    return places, float(values[-2:].sum() / max(values.sum(), 1e-12))


def _near_duplicates(chunks: Sequence[PlacedChunk], matrix: FloatArray) -> dict[int, int]:
    """For each chunk that has one, the most similar chunk of an earlier document that is nearly the same."""
    import numpy as np

    documents = np.array([each.document_id for each in chunks])
    found: dict[int, int] = {}
    for at in range(1, len(chunks)):
        cosines = matrix[:at] @ matrix[at]
        cosines[documents[:at] == documents[at]] = -1.0
        best = int(cosines.argmax())
        if cosines[best] >= NEAR_DUPLICATE:
            found[chunks[at].chunk_id] = chunks[best].chunk_id
    return found


def _folders(chunks: Sequence[PlacedChunk]) -> dict[str, str]:
    """The first folder of each path; the smallest ones are put together."""
    first = {each.path: each.path.split("/")[0] if "/" in each.path else "(top)" for each in chunks}
    counts = Counter(first[each.path] for each in chunks)
    large = {name for name, _ in counts.most_common(MAX_FOLDERS if len(counts) > MAX_FOLDERS + 1 else None)}
    return {path: name if name in large else OTHERS for path, name in first.items()}


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    axes = figure.subplots()
    _draw_duplicates(axes, table, theme)
    for number, folder in enumerate(sorted(table.distinct("folder"))):
        rows = table.select(folder=folder)
        axes.scatter(
            rows.column("x"),
            rows.column("y"),
            s=22,
            alpha=0.75,
            marker=MARKERS[number % len(MARKERS)],
            color=theme.colour(number),
            linewidths=0,
            label=folder,
        )
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second principal component")
    legend_below(axes, columns=4)


def _draw_duplicates(axes: Axes, table: Table, theme: Theme) -> None:
    places = {row["chunk_id"]: (row["x"], row["y"]) for row in table.records()}
    label: str | None = "near-duplicates"
    for row in table.records():
        other = places.get(row["near_duplicate_of"])
        if other is None:
            continue
        axes.plot([row["x"], other[0]], [row["y"], other[1]], color=theme.ink, lw=0.9, label=label, zorder=0)
        label = None
