"""Power loss: what was not synced is dropped, kept, or torn, and every acknowledged document survives.

A small workload runs once under strace, which writes down every write, sync and rename with its data. The
log is then played into an imaginary disk up to some moment. A file's content survives as far as the file was
synced, and of the later writes a random part; a name survives if its directory was synced, and of the later
changes of a directory a random beginning, in order. The store that is left must be whole.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults import library, tracing
from faults.campaign import Campaign
from faults.children import Say, require, result_of
from faults.oracle import check

SECTOR = 512
CALLS = "openat,write,pwrite64,fsync,fdatasync,rename,unlink,ftruncate,mkdir,rmdir,sendfile,copy_file_range"

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?")
_UNFINISHED = re.compile(r"^(\d+) .*?( <unfinished \.\.\.>)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FD = re.compile(r"^(\d+)<([^>]*)>")


def run(campaign: Campaign) -> None:
    """One recording, many moments, several fates each."""
    reason = tracing.why_not()
    if reason:
        campaign.skip("power loss", reason)
        return
    for number in range(campaign.amount(quick=1, full=4)):
        _run_recording(campaign, number)


def _run_recording(campaign: Campaign, number: int) -> None:
    rng = campaign.random("power", number)
    directory = campaign.folder("power")
    (directory / "root").mkdir()
    log = directory / "calls.log"
    seed = rng.randrange(10**9)
    with tracing.traced(
        lambda say: _workload(directory / "root" / "store", seed, say), log,
        "-e", f"trace={CALLS}", "-y", "-xx", "-s", "16777216",
    ) as child:  # fmt: skip
        child.wait(300).require_done()
    events = list(_events(log, directory / "root"))
    log.unlink()
    require(any(event.call == "pwrite64" for event in events), "nothing was recorded")
    moments = rng.sample(range(len(events) + 1), k=min(len(events), campaign.amount(quick=8, full=400)))
    for moment in sorted(moments):
        with campaign.trial("power loss", f"recording {number}, after call {moment} of {len(events)}"):
            _lose_power(directory, events[:moment], rng)
    shutil.rmtree(directory)


def _workload(store: Path, seed: int, say: Say) -> None:
    """Make a store, ingest, publish, delete, re-embed and purge, acknowledging everything."""
    rng = random.Random(seed)
    with library.create(store) as rag:
        for number in range(6):
            name, body = f"text {number % 5}", library.some_text(rng, 5).strip()
            say(f"TRY {name} {body.encode().hex()}")
            rag.add_document(body, name=name)
            say(f"ACK {name} {body.encode().hex()}")
            if number == 2:
                say("TRY text 0 -")
                rag.remove_document("text 0")
                say("ACK text 0 -")
        with rag.store.write() as writer:
            writer.publish(writer.generation(), final=True)
        rag.reembed(embedder=library.embedder(1))
        body = library.some_text(rng, 5).strip()
        say(f"TRY last {body.encode().hex()}")
        rag.add_document(body, name="last")
        say(f"ACK last {body.encode().hex()}")
        rag.purge()


# ------------------------------------------------------------------------- the log


@dataclass(frozen=True, slots=True)
class Event:
    """One call: on which path, at which offset (-1: at the end), with which data."""

    call: str
    path: str
    offset: int = -1
    data: bytes = b""


def _text(quoted: str) -> bytes:
    return bytes.fromhex(quoted.replace("\\x", ""))


def _path(annotated: str) -> str:
    """A path as strace gives it for a descriptor, which it may have written in hexadecimal."""
    path = _text(annotated).decode() if annotated.startswith("\\x") else annotated
    return path.removesuffix("(deleted)").rstrip()


def _whole_calls(lines: Iterable[str]) -> Iterator[str]:
    """One line a call, when it returned: strace breaks a call in two where another thread came between."""
    begun: dict[str, str] = {}
    for line in lines:
        if broken := _UNFINISHED.match(line):
            begun[broken[1]] = line[: broken.start(2)]
        elif rest := _RESUMED.match(line):
            yield begun.pop(rest[1], "") + rest[2]
        else:
            yield line


def _events(log: Path, root: Path) -> Iterator[Event]:
    """What the log says of files below `root`, and what the child said to its parent."""
    for line in _whole_calls(log.read_text().splitlines()):
        found = _CALL.match(line)
        if found is None or int(found[3]) < 0:
            continue
        event = _event(found[1], found[2], found[4] or "")
        if event.call == "say" or event.path.startswith(str(root)):
            yield event


def _event(call: str, arguments: str, opened: str) -> Event:
    quoted = [_text(value) for value in _QUOTED.findall(arguments)]
    held = _FD.match(arguments)
    path = _path(held[2]) if held else ""
    if call == "openat":
        created = "O_CREAT" in arguments
        return Event("create" if created else "open", _path(opened), int("O_TRUNC" in arguments))
    if call == "write" and path.startswith("pipe:"):
        return Event("say", "", data=quoted[0])
    if call == "write":
        return Event(call, path, data=quoted[0] if quoted else b"")
    if call == "pwrite64":
        return Event(call, path, int(arguments.rsplit(",", 1)[1]), quoted[0])
    if call == "ftruncate":
        return Event(call, path, int(arguments.rsplit(",", 1)[1]))
    if call == "rename":
        return Event(call, quoted[0].decode(), data=quoted[1])
    if call in ("unlink", "mkdir", "rmdir"):
        return Event(call, quoted[0].decode())
    require(call in ("fsync", "fdatasync") or not path.startswith("/"), f"{call} cannot be replayed")
    return Event(call, path)


# ------------------------------------------------------------------------ the disk


@dataclass(slots=True)
class File:
    """What is safe of a file, and what was written since its last sync."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)
    size: int = 0

    def add(self, event: Event) -> None:
        self.pending.append(event)
        self.size = (
            event.offset if event.call == "ftruncate" else max(self.size, event.offset + len(event.data))
        )

    def sync(self) -> None:
        for event in self.pending:
            _apply(self.safe, event)
        self.pending.clear()

    def survivor(self, rng: random.Random) -> bytes:
        """What a power loss leaves: of the unsynced writes all, none, some, and some of them torn."""
        content, share = bytearray(self.safe), rng.choice([0.0, 1.0, rng.random()])
        for event in self.pending:
            if rng.random() < share:
                _apply(content, _torn(event, rng) if rng.random() < 0.2 else event)
        return bytes(content)


def _torn(event: Event, rng: random.Random) -> Event:
    """Only some sectors of a write: its beginning, or its end."""
    if event.call == "ftruncate" or len(event.data) < 2:
        return event
    cut = rng.randrange(0, len(event.data), SECTOR) if len(event.data) > SECTOR else len(event.data) // 2
    if rng.random() < 0.5:
        return Event(event.call, event.path, event.offset, event.data[:cut])
    return Event(event.call, event.path, event.offset + cut, event.data[cut:])


def _apply(content: bytearray, event: Event) -> None:
    if event.call == "ftruncate":
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    if not event.data:
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data


@dataclass(slots=True)
class Disk:
    """Names, what they stand for, and which changes of names are not yet safe, by directory."""

    names: dict[str, File | None] = field(default_factory=dict)
    safe: dict[str, File | None] = field(default_factory=dict)
    pending: dict[str, list[tuple[str, File | None, bool]]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def play(self, event: Event) -> None:
        handler = getattr(self, f"_{event.call}", None)
        if handler is not None:
            handler(event)

    def _say(self, event: Event) -> None:
        self.said += event.data.decode(errors="replace").splitlines()

    def _name(self, path: str, file: File | None, present: bool) -> None:
        self.pending.setdefault(str(Path(path).parent), []).append((path, file, present))
        if present:
            self.names[path] = file
        else:
            self.names.pop(path, None)

    def _create(self, event: Event) -> None:
        if event.path not in self.names:
            self._name(event.path, File(), True)
        elif event.offset:
            self._open(event)

    def _open(self, event: Event) -> None:
        file = self.names.get(event.path)
        if event.offset and file is not None:
            file.add(Event("ftruncate", event.path, 0))

    def _mkdir(self, event: Event) -> None:
        self._name(event.path, None, True)

    def _write(self, event: Event) -> None:
        file = self.names.get(event.path)
        if file is not None:
            file.add(Event("write", event.path, file.size, event.data))

    def _pwrite64(self, event: Event) -> None:
        file = self.names.get(event.path)
        if file is not None:
            file.add(event)

    _ftruncate = _pwrite64

    def _fsync(self, event: Event) -> None:
        file = self.names.get(event.path)
        if file is not None:
            file.sync()
        for path, target, present in self.pending.pop(event.path, []):
            self._settle(path, target, present)

    _fdatasync = _fsync

    def _settle(self, path: str, file: File | None, present: bool) -> None:
        if present:
            self.safe[path] = file
        else:
            self.safe.pop(path, None)

    def _rename(self, event: Event) -> None:
        target = event.data.decode()
        file = self.names[event.path]
        self._name(event.path, file, False)
        self._name(target, file, True)

    def _unlink(self, event: Event) -> None:
        self._name(event.path, None, False)

    _rmdir = _unlink

    def survivors(self, rng: random.Random) -> dict[str, bytes | None]:
        """The files and (None) directories that a power loss leaves."""
        names = dict(self.safe)
        for changes in self.pending.values():
            for path, file, present in changes[: rng.randint(0, len(changes))]:
                if present:
                    names[path] = file
                else:
                    names.pop(path, None)
        contents = {id(file): file.survivor(rng) for file in names.values() if file is not None}
        return {path: contents[id(file)] if file is not None else None for path, file in names.items()}


def _lose_power(directory: Path, events: list[Event], rng: random.Random) -> None:
    disk = Disk()
    for event in events:
        disk.play(event)
    root = directory / "root"
    shutil.rmtree(root)
    root.mkdir()
    for path, content in sorted(disk.survivors(rng).items()):
        place = Path(path)
        if not place.parent.is_dir():
            continue  # its directory did not survive
        if content is None:
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(content)
    allowed = _allowed(disk.said)
    result_of(_check_survivor, root / "store", allowed)


def _allowed(said: list[str]) -> dict[str, list[str | None]]:
    """By document: what was acknowledged last, and what was tried after that."""
    allowed: dict[str, list[str | None]] = {}
    for line in said:
        word, _, rest = line.partition(" ")
        name, _, encoded = rest.rpartition(" ")
        if word in ("ACK", "TRY"):
            body = None if encoded == "-" else bytes.fromhex(encoded).decode()
            allowed[name] = [body] if word == "ACK" else [*allowed.get(name, [None]), body]
    return allowed


def _check_survivor(store: Path, allowed: dict[str, list[str | None]]) -> None:
    """The store is whole; one that never got its name may be made anew, if nothing was acknowledged."""
    with library.open_or_create(store) as rag:
        found = rag.verify()
        require(found.is_clean, f"the store that was opened or made is not clean: {found.problems}")
    check(store, allowed)
