"""Mutated files of every format give a sound document or a reason; `scripts/faults` tries thousands."""

from __future__ import annotations

import random

import pytest
from faults.mutations import mutated
from sample_files import SAMPLES

from ragstack.errors import LoadingError
from ragstack.loading.guard import GuardedReaders
from ragstack.loading.limits import Limits

MUTATIONS = 6


@pytest.fixture(scope="module")
def reading():
    with GuardedReaders(Limits(seconds=10, memory_bytes=384 * 2**20)) as opened:
        yield opened


@pytest.mark.parametrize("name", SAMPLES)
def test_mutated_files_give_a_sound_document_or_a_reason(check, reading, name):
    original = SAMPLES[name]()
    refused = 0
    for number in range(MUTATIONS):
        data = mutated(original, random.Random(f"{name} {number}"))
        assert data != original or number
        try:
            document = reading.extract(data, name)
        except LoadingError as error:
            refused += 1
            assert error.message  # noqa: PT017 - not every mutation is refused
            assert "\n" not in error.message  # noqa: PT017
        else:
            check(document)
    assert refused <= MUTATIONS


def test_mutations_are_the_same_for_the_same_seed_and_change_the_file():
    original = SAMPLES["ferry.docx"]()
    changed = [mutated(original, random.Random(seed)) for seed in range(20)]
    assert changed == [mutated(original, random.Random(seed)) for seed in range(20)]
    assert len(set(changed)) > 15
