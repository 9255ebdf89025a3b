"""Embeds texts in a thread, while the caller reads, chunks and commits other documents.

One list of texts a thread, one thread after the other. What embedding raises, and how it goes on, reaches the
caller's thread when it asks for the vectors.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragstack.records import Embedder

if TYPE_CHECKING:
    from ragstack.records import FloatArray

# On Windows a wait without an end cannot be interrupted by Ctrl-C.
_LONGEST_WAIT_SECONDS = 0.5


class _StoppedError(Exception):
    """Ends an embedding that nobody waits for any more."""


class EmbeddingThread:
    """Embeds `texts` as soon as `after` is done; `stop` ends it at its next report of progress."""

    def __init__(
        self,
        embedder: Embedder,
        texts: Sequence[str],
        *,
        after: EmbeddingThread | None,
        stop: threading.Event,
    ) -> None:
        self._embedder = embedder
        self._texts = texts
        self._stop = stop
        self._done_of: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._vectors: FloatArray | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(after,), name="embedding")
        self._thread.start()

    def vectors(self, progress: Callable[[int], None]) -> FloatArray:
        """The vectors, shape (len(texts), dimension), once they are there; raises what embedding raised."""
        while (done := self._next()) is not None:
            progress(done)
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._vectors is not None
        return self._vectors

    @property
    def is_done(self) -> bool:
        """Whether the vectors, or an error, are there."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Return when the thread has ended."""
        self._thread.join()

    def _next(self) -> int | None:
        while True:
            try:
                return self._done_of.get(timeout=_LONGEST_WAIT_SECONDS)
            except queue.Empty:
                continue

    def _run(self, after: EmbeddingThread | None) -> None:
        try:
            if after is not None:
                after.join()
            self._report(0)
            self._vectors = self._embedder.embed_documents(self._texts, progress=self._report)
        # Not lost: the caller's thread raises it, interruptions included.
        except BaseException as error:
            self._error = error
        finally:
            self._done_of.put(None)

    def _report(self, done: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._done_of.put(done)
