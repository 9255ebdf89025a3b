"""ragstack: retrieval-augmented generation that computes how much context fits instead of guessing.

    from ragstack import RAGSystem

    with RAGSystem.open("notes.ragstack") as rag:
        rag.ingest("~/notes")
        answer = rag.ask("What did we decide about the cache?")

Names are resolved on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragstack._version import __version__
    from ragstack.context.attention import ContextAnalyzer
    from ragstack.errors import RagstackError
    from ragstack.ingestion.observer import IngestInterrupted, IngestObserver
    from ragstack.records import (
        Answer,
        Chunk,
        ChunkerSettings,
        Citation,
        Document,
        Embedder,
        Filter,
        Fingerprint,
        Hit,
        IngestReport,
        Ledger,
        Location,
        Passage,
        Tokenizer,
    )
    from ragstack.system import RAGSystem

_HOMES = {
    "ragstack._version": ("__version__",),
    "ragstack.context.attention": ("ContextAnalyzer",),
    "ragstack.errors": ("RagstackError",),
    "ragstack.ingestion.observer": ("IngestInterrupted", "IngestObserver"),
    "ragstack.records": (
        "Answer",
        "Chunk",
        "ChunkerSettings",
        "Citation",
        "Document",
        "Embedder",
        "Filter",
        "Fingerprint",
        "Hit",
        "IngestReport",
        "Ledger",
        "Location",
        "Passage",
        "Tokenizer",
    ),
    "ragstack.system": ("RAGSystem",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Chunk",
    "ChunkerSettings",
    "Citation",
    "ContextAnalyzer",
    "Document",
    "Embedder",
    "Filter",
    "Fingerprint",
    "Hit",
    "IngestInterrupted",
    "IngestObserver",
    "IngestReport",
    "Ledger",
    "Location",
    "Passage",
    "RAGSystem",
    "RagstackError",
    "Tokenizer",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
