"""A random history of a store against a dictionary and a brute-force search (a hypothesis state machine)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from faults import library
from faults.campaign import Campaign
from faults.children import result_of
from faults.library import reopen
from faults.oracle import check, check_reading
from ragstack.ingestion.observer import IngestInterrupted
from ragstack.records import Filter
from ragstack.store import failpoints, segments
from ragstack.store.generations import current_generation
from ragstack.system import RAGSystem

NAMES = st.sampled_from([f"{word}.txt" for word in library.WORDS[:8]])
CONTENTS = st.lists(st.sampled_from(library.WORDS), min_size=1, max_size=60).map(
    lambda words: " ".join(words).capitalize() + ".\n"
)


class StoreModel(RuleBasedStateMachine):
    """`files` is the folder, `texts` what the store must hold: those of the folder as of the last ingest."""

    def __init__(self) -> None:
        super().__init__()
        library.shrink_thresholds()
        self.directory = Path(tempfile.mkdtemp(prefix="ragstack-model-"))
        self.folder = self.directory / "files"
        self.files: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.rag: RAGSystem = library.create(self.directory / "store")
        library.write_folder(self.folder, {})

    def teardown(self) -> None:
        self.rag.close()
        shutil.rmtree(self.directory)

    @rule(name=NAMES, content=CONTENTS)
    def put_file(self, name: str, content: str) -> None:
        self.files[name] = content
        library.write_folder(self.folder, self.files)

    @rule(data=st.data())
    def rename_file(self, data: st.DataObject) -> None:
        if self.files:
            old = data.draw(st.sampled_from(sorted(self.files)))
            content = self.files.pop(old)
            self.files[data.draw(NAMES)] = content
            library.write_folder(self.folder, self.files)

    @rule(data=st.data())
    def delete_file(self, data: st.DataObject) -> None:
        if self.files:
            del self.files[data.draw(st.sampled_from(sorted(self.files)))]
            library.write_folder(self.folder, self.files)

    @rule()
    def ingest(self) -> None:
        report = self.rag.ingest(self.folder, prune=True)
        assert not [outcome for outcome in report.outcomes if outcome.state == "failed"]
        self.texts = {
            **{name: text for name, text in self.texts.items() if not name.endswith(".txt")},
            **{name: library.text_of_file(data, name) for name, data in self.files.items()},
        }

    @rule(after=st.integers(1, 4))
    def interrupt_ingest(self, after: int) -> None:
        """Ctrl-C at some commit: every document is as it was or as it is to be."""
        left = after

        def callback(step: str) -> None:
            nonlocal left
            left -= step == "document committed"
            if left == 0:
                raise KeyboardInterrupt

        before = dict(self.texts)
        failpoints.arm(callback)
        try:
            self.ingest()
        except IngestInterrupted:
            failpoints.arm(None)
            found = check_reading(self.rag.store)
            new = {name: library.text_of_file(data, name) for name, data in self.files.items()}
            for name in {*found, *before, *new}:
                assert found.get(name) in (before.get(name), new.get(name))
            self.texts = found
        finally:
            failpoints.arm(None)

    @rule(number=st.integers(0, 3), content=CONTENTS)
    def add_text(self, number: int, content: str) -> None:
        self.rag.add_document(content, name=f"note {number}")
        self.texts[f"note {number}"] = content

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.texts:
            name = data.draw(st.sampled_from(sorted(self.texts)))
            self.rag.remove_document(name)
            del self.texts[name]
            if self.files.pop(name, None) is not None:
                library.write_folder(self.folder, self.files)

    @rule()
    def reopen(self) -> None:
        self.rag.close()
        self.rag = library.open_or_create(self.directory / "store")

    @rule()
    def publish(self) -> None:
        with self.rag.store.write() as writer:
            generation = writer.generation()
            if generation is not None:
                writer.publish(generation, final=True)

    @rule()
    def compact(self) -> None:
        with self.rag.store.write() as writer:
            generation = writer.generation()
            if generation is not None:
                segments.rewrite_all(writer.engine, writer.directory, generation.id)

    @rule(seed=st.integers(0, 2), size=st.sampled_from([20, 24, 32]))
    def reembed(self, seed: int, size: int) -> None:
        if self.rag.generation is not None:
            self.rag.reembed(embedder=library.embedder(seed), chunk_size=size, overlap=library.OVERLAP)
            self.reopen()

    @rule(words=st.lists(st.sampled_from(library.WORDS), min_size=1, max_size=4), limit=st.integers(1, 12))
    def search(self, words: list[str], limit: int) -> None:
        """What the index finds is what comparing with every vector finds."""
        with self.rag.store.read() as snapshot:
            if current_generation(snapshot.connection) is None:
                return
            vector = library.embedder_of(self.directory / "store").embed_query(" ".join(words))
            found = snapshot.dense_candidates(vector, limit, Filter())
            ids = [i for info in snapshot.documents() for i in snapshot.chunk_ids(info.document_id)]
            scores = sorted(snapshot.cosines(vector, ids).values(), reverse=True)[:limit]
        assert len(found) == len(scores)
        np.testing.assert_allclose([one.score for one in found], scores, atol=1e-5)

    @invariant()
    def agrees_with_the_dictionary(self) -> None:
        with self.rag.store.read() as snapshot:
            held = {info.path: snapshot.document(info.document_id).text for info in snapshot.documents()}
        assert held == self.texts

    @rule()
    def check_everything(self) -> None:
        if self.rag.generation is not None:
            self.rag.close()
            check(self.directory / "store", {name: (text,) for name, text in self.texts.items()})
            self.rag = reopen(self.directory / "store")


def run(campaign: Campaign) -> None:
    """The state machine with this campaign's seed."""
    examples = campaign.amount(quick=2, full=500)
    with campaign.trial("random history against a model", f"{examples} examples"):
        result_of(_run_machine, campaign.random("model").randrange(10**9), examples, seconds=7_200)
    campaign.row("random history against a model").note = f"{examples} examples of up to 30 steps"


def _run_machine(seed: int, examples: int) -> None:
    machine = hypothesis.seed(seed)(StoreModel)
    settings = hypothesis.settings(
        max_examples=examples, stateful_step_count=30, deadline=None, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=settings)
