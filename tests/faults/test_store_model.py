from __future__ import annotations

import pytest
from faults.model import StoreModel
from hypothesis import HealthCheck, settings

from ragstack.ingestion import batch
from ragstack.store import building, failpoints, segments, writer


@pytest.fixture(autouse=True)
def _thresholds_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine lowers thresholds for its process; other tests must not see that."""
    for module, name in (
        (building, "APPROXIMATE_FROM"),
        (building, "TARGET_RECALL"),
        (segments, "PUBLISH_AT"),
        (segments, "MAX_TAIL"),
        (batch, "FLUSH_DOCUMENTS"),
        (writer, "DROP_BATCH"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(failpoints, "_callback", None)


TestStoreAgainstModel = StoreModel.TestCase
TestStoreAgainstModel.settings = settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
