"""The default embedding model, for the tests in which meaning matters."""

from __future__ import annotations

import pytest

from ragstack.embedding.open import open_embedder
from ragstack.records import Embedder


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    return open_embedder(offline=True)
