"""Opens the store that a command works on, with the settings that concern it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ragstack.cli import console
from ragstack.config import Settings

if TYPE_CHECKING:
    from ragstack.system import RAGSystem


def open_system(
    settings: Settings,
    *,
    create: bool = False,
    announce: Callable[[str], None] = console.note,
    soon_to_ask: bool = False,
) -> RAGSystem:
    """The system on the store in use; without `create`, raises `StoreNotFoundError` rather than make one.

    `soon_to_ask` is for commands that embed a question: the model is loaded while the store is opened.
    """
    from ragstack.system import RAGSystem

    return RAGSystem.open(
        settings.store.value,
        offline=settings.offline.value,
        create=create,
        announce=announce,
        soon_to_ask=soon_to_ask,
        reranker=settings.reranker.value,
        **settings.store_demands(),
    )
