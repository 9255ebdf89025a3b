"""`scripts/benchmark scale` as a user runs it, on vectors that were kept from an earlier run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def embeddings(tmp_path):
    """Vectors of windows and questions, as `--embeddings` keeps them."""
    rows = np.random.default_rng(1).normal(size=(330, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.savez(tmp_path / "kept.npz", windows=rows[:300], questions=rows[300:])
    return tmp_path / "kept.npz"


def _scale(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark", "scale", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_scale_prints_a_column_for_each_size_with_exponents_and_writes_json(embeddings, tmp_path):
    written = tmp_path / "scale.json"
    done = _scale(
        "--embeddings", embeddings, "--sizes", "200,1200", "--directory", tmp_path, "--json", written
    )
    assert done.returncode == 0, done.stderr
    assert "300 windows of real text" in done.stdout
    assert "30 questions; 16 dimensions" in done.stdout
    for name in ("writing, s", "search p50, ms", "recall@10, %", "reading peak MB", "open, s", "one more, s"):
        assert name in done.stdout
    document = json.loads(written.read_text(encoding="utf-8"))
    assert [row["chunks"] for row in document["sizes"]] == [200, 1200]
    assert [row["recall"] for row in document["sizes"]] == [1.0, 1.0]  # exact at these sizes
    assert all(row["one_more_seconds"] > 0 for row in document["sizes"])
    assert document["exponents"]["index_bytes"] == pytest.approx(1.0, abs=0.05)
    assert document["machine"]["processor"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.npz", "scale.json"]


def test_sizes_too_small_to_measure_are_refused(embeddings):
    done = _scale("--embeddings", embeddings, "--sizes", "50")
    assert done.returncode == 2
    assert "must be whole numbers of at least 100" in done.stderr
