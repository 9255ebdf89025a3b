"""What is said about the machine of a measurement."""

import re

from ragstack.evaluation.machine import describe_machine


def test_the_machine_is_described_with_the_versions_that_are_installed():
    machine = describe_machine(["numpy", "no-such-package"])

    assert machine.processor
    assert machine.cores >= 1
    assert machine.memory > 2**28
    assert list(machine.packages) == ["numpy"]
    assert re.fullmatch(r"3\.\d+\.\d+\S*", machine.python)
    assert machine.commit is None or re.fullmatch(r"[0-9a-f]{7,}\+?", machine.commit)
