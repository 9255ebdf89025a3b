"""Everything that changes a store, as the work of a child that can be killed at any moment.

An action leaves a store, whenever it is cut off, in one of the states that `Plan.allowed` describes, and what
it acknowledged before narrows them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faults import library
from faults.children import Ending, Say, require, result_of
from faults.library import reopen
from faults.oracle import check
from ragstack.config import DATABASE_FILE
from ragstack.errors import RagstackError
from ragstack.store import segments
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.system import RAGSystem

Texts = dict[str, str]


@dataclass(slots=True)
class Plan:
    """What a child will do, the texts there were before, those there are to be, and how to look after it."""

    work: Callable[[Say], None]
    before: Texts
    after: Texts
    inspect: Callable[[dict[str, tuple[str | None, ...]]], Texts] = field(default=lambda allowed: {})

    def allowed(self, ending: Ending) -> dict[str, tuple[str | None, ...]]:
        """The states that a document may be in, given what was acknowledged."""
        acknowledged = {*ending.said("ACK"), *ending.said("GONE"), *ending.said("DONE")}
        done = "ALL" in acknowledged
        return {
            path: (self.after.get(path),)
            if done or path in acknowledged
            else (self.before.get(path), self.after.get(path))
            for path in {**self.before, **self.after}
        }


@dataclass(slots=True)
class World:
    """A store, its folder of files, and what it is known to hold."""

    directory: Path
    folder: Path
    rng: random.Random
    files: dict[str, str] = field(default_factory=dict)
    texts: Texts = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.directory / "store"

    def plan(self, name: str) -> Plan:
        """Get ready for an action of that name."""
        return ACTIONS[name](self)


def _check_store(world: World) -> Callable[[dict[str, tuple[str | None, ...]]], Texts]:
    return lambda allowed: result_of(check, world.store, allowed)


def _ingest(world: World) -> Plan:
    world.files = library.changed_files(world.files, world.rng)
    library.write_folder(world.folder, world.files)
    after = {name: library.text_of_file(content, name) for name, content in world.files.items()}
    after |= {path: text for path, text in world.texts.items() if not path.endswith(".txt")}

    def work(say: Say) -> None:
        with library.open_or_create(world.store) as rag:
            rag.ingest(world.folder, prune=True, observer=library.Acknowledging(say))
        say("DONE ALL")

    return Plan(work, world.texts, after, _check_store(world))


def _add(world: World) -> Plan:
    name, text = f"note {world.rng.randint(0, 5)}", library.some_text(world.rng).strip()

    def work(say: Say) -> None:
        with reopen(world.store) as rag:
            rag.add_document(text, name=name)
        say("DONE ALL")

    return Plan(work, world.texts, world.texts | {name: text}, _check_store(world))


def _delete(world: World) -> Plan:
    gone = world.rng.sample(sorted(world.texts), k=min(len(world.texts), world.rng.randint(1, 4)))
    for path in gone:
        if world.files.pop(path, None) is not None:
            (world.folder / path).unlink()

    def work(say: Say) -> None:
        with reopen(world.store) as rag:
            for path in gone:
                rag.remove_document(path)
                say(f"GONE {path}")
        say("DONE ALL")

    after = {path: text for path, text in world.texts.items() if path not in gone}
    return Plan(work, world.texts, after, _check_store(world))


def _maintained(change: Callable[[World, RAGSystem], None]) -> Callable[[World], Plan]:
    """An action that changes no document."""

    def plan(world: World) -> Plan:
        def work(say: Say) -> None:
            with reopen(world.store) as rag:
                change(world, rag)
            say("DONE ALL")

        return Plan(work, world.texts, world.texts, _check_store(world))

    return plan


def _publish(_world: World, rag: RAGSystem) -> None:
    segments.PUBLISH_AT = 1
    with rag.store.write() as writer:
        generation = writer.generation()
        while writer.publish(generation, final=True):
            pass


def _compact(_world: World, rag: RAGSystem) -> None:
    with rag.store.write() as writer:
        segments.rewrite_all(writer.engine, writer.directory, writer.generation().id)


def _purge(_world: World, rag: RAGSystem) -> None:
    rag.purge()


def _reembed(world: World) -> Plan:
    seed, size = world.rng.randint(0, 3), world.rng.choice([20, 24, 32])

    def work(say: Say) -> None:
        with reopen(world.store) as rag:
            rag.reembed(embedder=library.embedder(seed), chunk_size=size, overlap=library.OVERLAP)
        say("DONE ALL")

    return Plan(work, world.texts, world.texts, _check_store(world))


def _repair(world: World) -> Plan:
    """Damage the store first; whatever the kill leaves, another repair must mend."""
    result_of(damage, world.store, world.rng.randint(0, 10**9))

    def work(say: Say) -> None:
        with reopen(world.store) as rag:
            rag.repair(apply=True)
        say("DONE ALL")

    def inspect(allowed: dict[str, tuple[str | None, ...]]) -> Texts:
        result_of(_repair_again, world.store)
        return result_of(check, world.store, allowed)

    return Plan(work, world.texts, world.texts, inspect)


def _repair_again(directory: Path) -> None:
    with reopen(directory) as rag:
        rag.repair(apply=True)


def damage(directory: Path, seed: int) -> None:
    """Damage what repair can mend: an index file, and full-text rows."""
    import sqlite3
    from contextlib import closing

    rng = random.Random(seed)
    files = sorted((directory / INDEX_DIRECTORY).glob("*"))
    if files:
        data = bytearray(files[0].read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        files[0].write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
    with closing(sqlite3.connect(directory / DATABASE_FILE)) as connection:
        rows = [row[0] for row in connection.execute("SELECT id FROM chunks")]
        for row in rng.sample(rows, k=len(rows) // 3):
            connection.execute("DELETE FROM chunk_search WHERE rowid = ?", (row,))
        connection.commit()


def _backup(world: World) -> Plan:
    saved, restored = world.directory / "saved", world.directory / "restored"
    for folder in (saved, restored):
        shutil.rmtree(folder, ignore_errors=True)

    def work(say: Say) -> None:
        with reopen(world.store) as rag:
            rag.backup(saved)
        say("DONE ALL")

    def inspect(allowed: dict[str, tuple[str | None, ...]]) -> Texts:
        result_of(_check_restored, saved, restored, allowed)
        return result_of(check, world.store, allowed)

    return Plan(work, world.texts, world.texts, inspect)


def _check_restored(saved: Path, restored: Path, allowed: dict[str, tuple[str | None, ...]]) -> None:
    """Either the backup is refused as unfinished, or it is a whole store."""
    try:
        RAGSystem.restore(saved, restored).close()
    except RagstackError as error:
        require("holds no" in error.message, f"restore: {error.message}")
        return
    check(restored, allowed)


def _restore(world: World) -> Plan:
    saved, restored = world.directory / "saved", world.directory / "restored"
    for folder in (saved, restored):
        shutil.rmtree(folder, ignore_errors=True)
    result_of(_save, world.store, saved)

    def work(say: Say) -> None:
        RAGSystem.restore(saved, restored).close()
        say("DONE ALL")

    def inspect(allowed: dict[str, tuple[str | None, ...]]) -> Texts:
        result_of(_restore_again, saved, restored)
        result_of(check, restored, allowed)
        return world.texts

    return Plan(work, world.texts, world.texts, inspect)


def _save(directory: Path, saved: Path) -> None:
    with reopen(directory) as rag:
        rag.backup(saved)


def _restore_again(saved: Path, restored: Path) -> None:
    if not (restored / DATABASE_FILE).exists():
        RAGSystem.restore(saved, restored).close()


def _create(world: World) -> Plan:
    """A second store beside the first: its making is killed, then it is made and used."""
    fresh = world.directory / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)

    def work(say: Say) -> None:
        with library.create(fresh) as rag:
            rag.add_document("A first text.", name="first")
        say("DONE ALL")

    def inspect(_allowed: dict[str, tuple[str | None, ...]]) -> Texts:
        result_of(_use_fresh, fresh)
        return world.texts

    return Plan(work, world.texts, world.texts, inspect)


def _use_fresh(fresh: Path) -> None:
    with library.create(fresh) as rag:
        rag.add_document("A first text.", name="first")
    check(fresh, {"first": ("A first text.",)})


def _migrate(world: World) -> Plan:
    """A copy of the store is brought to an invented later revision."""
    from faults import migrating

    copy = world.directory / "migrated"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(world.store, copy)

    def work(say: Say) -> None:
        with migrating.later_revision():
            reopen(copy).close()
        say("DONE ALL")

    def inspect(allowed: dict[str, tuple[str | None, ...]]) -> Texts:
        result_of(migrating.check_migrated, copy, allowed)
        return world.texts

    return Plan(work, world.texts, world.texts, inspect)


ACTIONS: dict[str, Callable[[World], Plan]] = {
    "ingest": _ingest,
    "add": _add,
    "delete": _delete,
    "publish": _maintained(_publish),
    "compact": _maintained(_compact),
    "reembed": _reembed,
    "repair": _repair,
    "purge": _maintained(_purge),
    "backup": _backup,
    "restore": _restore,
    "create": _create,
    "migrate": _migrate,
}
