"""Opens an embedder by the name of its model: locates, verifies and describes it.

The model itself is not loaded before the first text to embed; the steps are those of other modules.
"""

from __future__ import annotations

from collections.abc import Callable

from ragstack.embedding.models import locate_model
from ragstack.embedding.sentence import SentenceTransformerEmbedder


def open_embedder(
    name: str | None = None, *, offline: bool = False, announce: Callable[[str], None] | None = None
) -> SentenceTransformerEmbedder:
    """The embedder of the model called `name`: None for the default one, a folder, or a name on the hub.

    `offline` forbids downloading; otherwise `announce` is told what is downloaded, and its size, before it
    starts, and later why a model does not run compiled. Raises `ModelNotFoundError`, `ModelDamagedError`, or
    `EmbeddingError` for a model of another kind.
    """
    model = locate_model(name, offline=offline, announce=announce)
    return SentenceTransformerEmbedder(model, announce=announce)
