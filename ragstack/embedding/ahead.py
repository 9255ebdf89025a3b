"""Loads an embedder in a thread, while the store is opened: half of a cold question's time is either of them.

Nothing depends on it: what fails here is met again, and reported, by whoever asks for the embedder.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import numpy  # noqa: F401, ICN001 # not in the thread: two threads must not import halves of one package

import ragstack.embedding.open as opening
from ragstack.embedding.sentence import SentenceTransformerEmbedder


class EmbedderAhead:
    """Begins at once to open and load the embedder called `name`, with the arguments of `open_embedder`."""

    def __init__(self, name: str, *, offline: bool, announce: Callable[[str], None]) -> None:
        self._name = name
        self._offline = offline
        self._announce = announce
        self._embedder: SentenceTransformerEmbedder | None = None
        self._opened = threading.Event()
        # Not a daemon: at exit the process waits the moment that a model needs to load, rather than pull the
        # interpreter from under it.
        threading.Thread(target=self._load, name="embedder").start()

    def embedder(self, name: str) -> SentenceTransformerEmbedder | None:
        """The embedder, which may still be loading its model, or None if it is another or failed to open."""
        self._opened.wait()
        return self._embedder if name == self._name else None

    def _load(self) -> None:
        with contextlib.suppress(Exception):
            try:
                self._embedder = opening.open_embedder(
                    self._name, offline=self._offline, announce=self._announce
                )
            finally:
                self._opened.set()
            self._embedder.prepare()
