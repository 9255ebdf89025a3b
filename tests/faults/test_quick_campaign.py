from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the fault campaign needs a POSIX system")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The campaign in a process of its own: it forks, which a process full of threads must not."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "faults", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@needs_fork
@pytest.mark.parametrize(
    "items",
    [("damage",), ("syscalls", "power"), ("space", "pairs", "purging", "idle", "released")],
    ids=" ".join,
)
def test_a_small_share_of_the_campaign_holds(items: tuple[str, ...]) -> None:
    """The rest of it (kills, steps, together, model) is in `scripts/faults --quick`, which CI runs beside."""
    done = _run("--quick", "--only", *items)
    assert done.returncode == 0, done.stdout + done.stderr[-4_000:]
    assert done.stdout.splitlines()[0].split() == ["fault", "tried", "held", "failed", "seed"]


@needs_fork
def test_a_fault_that_does_not_hold_is_noticed() -> None:
    """The campaign can fail: here the oracle is asked for documents that the store does not hold."""
    code = (
        "import sys; sys.path.insert(0, 'tests/support'); from pathlib import Path; import tempfile\n"
        "from faults import library, oracle\n"
        "from faults.children import ViolationError\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    store = Path(folder) / 'store'\n"
        "    with library.create(store) as rag: rag.add_document('Amber.', name='a')\n"
        "    oracle.check(store, {'a': ('Amber.',)})\n"
        "    for allowed in ({'a': ('Basin.',)}, {'a': ('Amber.',), 'b': ('Cedar.',)}, {}):\n"
        "        try: oracle.check(store, allowed)\n"
        "        except ViolationError: continue\n"
        "        sys.exit(f'not noticed: {allowed}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
