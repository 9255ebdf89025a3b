"""How fast files become text: megabytes and pages a second for every format, through the guard.

Every file is made here from the seed, as large as honest files of its format are, and read whole several
times as an ingest reads it: readers that need the guard in a child process, which is started before the clock
is. Chunking, embedding and storing are not part of it; `--folder` measures files of your own instead.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.output import print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.tables import columns
from ragstack.errors import RagstackError
from ragstack.evaluation.machine import describe_machine
from ragstack.loading.guard import GuardedReaders
from ragstack.loading.limits import Limits
from ragstack.loading.readers import find_reader

SUPPORT = Path(__file__).resolve().parents[2] / "tests" / "support"
WORDS = (
    "harbour tide rope lantern anchor compass keel rudder vessel signal captain voyage chart storm beacon "
    "island current sail deck cargo"
).split()


@dataclass(frozen=True)
class Row:
    """One format: what was read, and how fast."""

    name: str
    bytes: int
    characters: int
    pages: int
    seconds: float
    guarded: bool

    @property
    def megabytes_per_second(self) -> float:
        return self.bytes / 1e6 / self.seconds

    @property
    def pages_per_second(self) -> float:
        return self.pages / self.seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--folder", type=Path, help="measure the files in this folder instead")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these formats, as in `pdf`")
    parser.add_argument("--repeat", type=int, default=3, help="times each file is read; the fastest counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Read every file, print the table."""
    files = _own_files(arguments.folder) if arguments.folder else _made_files(arguments.seed)
    if arguments.only:
        files = {name: make for name, make in files.items() if name.rpartition(".")[2] in arguments.only}
    rows = []
    with GuardedReaders(Limits(seconds=600)) as reading:
        for name, make in files.items():
            row = _measured(reading, name, make(), arguments.repeat)
            if row is not None:
                rows.append(row)
    machine = describe_machine()
    print_machine(machine)
    for line in columns(_table(rows), right=(1, 2, 3, 4, 5)):
        console.write(line)
    if arguments.json:
        write_json_file(arguments.json, {"benchmark": "loading", "rows": rows, "machine": machine})


def _own_files(folder: Path) -> dict[str, Callable[[], bytes]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and find_reader(path.name))
    return {path.relative_to(folder).as_posix(): path.read_bytes for path in paths}


def _measured(reading: GuardedReaders, name: str, data: bytes, repeat: int) -> Row | None:
    reader = find_reader(name)
    assert reader is not None
    fastest = float("inf")
    try:
        reading.extract(data, name)  # the child starts and loads the library
        for _ in range(repeat):
            started = time.perf_counter()
            document = reading.extract(data, name)
            fastest = min(fastest, time.perf_counter() - started)
    except RagstackError as error:
        console.warn(f"`{name}` is left out: {error.message}")
        return None
    pages = len({mark.label for mark in document.landmarks if mark.kind in ("page", "slide", "part", "cell")})
    return Row(name, len(data), len(document.text), pages, fastest, reader.needs_guard(len(data)))


def _table(rows: list[Row]) -> list[list[str]]:
    table = [["file", "MB", "seconds", "MB/s", "pages", "pages/s", "child process"]]
    for row in rows:
        pages = [f"{row.pages:,}", f"{row.pages_per_second:,.0f}"] if row.pages else ["", ""]
        table.append(
            [
                row.name,
                f"{row.bytes / 1e6:,.2f}",
                f"{row.seconds:.3f}",
                f"{row.megabytes_per_second:,.1f}",
                *pages,
                "yes" if row.guarded else "no",
            ]
        )
    return table


# ------------------------------------------------------------------------ made files


def _made_files(seed: int) -> Mapping[str, Callable[[], bytes]]:
    if str(SUPPORT) not in sys.path:
        sys.path.insert(0, str(SUPPORT))
    rng = random.Random(seed)
    return {
        "text.txt": lambda: _prose(rng, 20_000_000).encode(),
        "windows-1252.txt": lambda: _prose(rng, 5_000_000).replace("o", "\u00f6").encode("cp1252"),
        "markdown.md": lambda: _markdown(rng, 4_000_000).encode(),
        "restructured.rst": lambda: _restructured(rng, 4_000_000).encode(),
        "latex.tex": lambda: _latex(rng, 4_000_000).encode(),
        "source.py": lambda: _python(rng, 4_000_000).encode(),
        "table.csv": lambda: _rows(rng, 100_000).encode(),
        "records.jsonl": lambda: _records(rng, 40_000).encode(),
        "value.json": lambda: ("[" + ",".join(_records(rng, 40_000).splitlines()) + "]").encode(),
        "subtitles.srt": lambda: _subtitles(rng, 20_000).encode(),
        "page.html": lambda: _html(rng, 4_000_000).encode(),
        "document.pdf": lambda: _pdf(rng, 300),
        "document.docx": lambda: _docx(rng, 2_000),
        "slides.pptx": lambda: _samples().sample_pptx(100),
        "workbook.xlsx": lambda: _samples().xlsx({"S": _cells(rng, 20_000)}),
        "document.rtf": lambda: _rtf(rng, 2_000_000).encode(),
        "document.odt": lambda: _odt(rng, 4_000),
        "book.epub": lambda: _epub(rng, 40),
        "message.eml": lambda: _mail(rng, 2_000_000),
        "notebook.ipynb": lambda: _notebook(rng, 500),
    }


def _samples():  # the makers of the tests, which are not part of the package
    import sample_files

    return sample_files


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(6, 18))).capitalize() + "."


def _paragraph(rng: random.Random) -> str:
    return " ".join(_sentence(rng) for _ in range(rng.randint(2, 6)))


def _repeated(piece: Callable[[], str], size: int) -> str:
    """Different pieces until there are a million characters, then those again: making is not measured."""
    pieces: list[str] = []
    length = 0
    while length < min(size, 1_000_000):
        pieces.append(piece())
        length += len(pieces[-1])
    block = "".join(pieces)
    return block * max(1, size // len(block))


def _prose(rng: random.Random, size: int) -> str:
    return _repeated(lambda: _paragraph(rng) + "\n\n", size)


def _markdown(rng: random.Random, size: int) -> str:
    return _repeated(
        lambda: (
            f"## {_sentence(rng)}\n\n{_paragraph(rng)}\n\n- {_sentence(rng)}\n- {_sentence(rng)}\n\n"
            f"```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| {rng.choice(WORDS)} | 2 |\n\n"
            f"{_paragraph(rng)}\n\n"
        ),
        size,
    )


def _restructured(rng: random.Random, size: int) -> str:
    return _repeated(
        lambda: f"Title\n=====\n\n{_paragraph(rng)}::\n\n    code\n\n{_paragraph(rng)}\n\n", size
    )


def _latex(rng: random.Random, size: int) -> str:
    return _repeated(
        lambda: f"\\section{{{_sentence(rng)}}}\n{_paragraph(rng)}\n\n{_paragraph(rng)}\n\n", size
    )


def _python(rng: random.Random, size: int) -> str:
    return _repeated(
        lambda: f'def {rng.choice(WORDS)}(a: int) -> int:\n    """{_sentence(rng)}"""\n    return a\n\n\n',
        size,
    )


def _rows(rng: random.Random, count: int) -> str:
    lines = [
        f"{number},{rng.choice(WORDS)},{rng.random():.4f},{rng.choice(WORDS)}" for number in range(count)
    ]
    return "number,kind,weight,place\n" + "\n".join(lines) + "\n"


def _cells(rng: random.Random, count: int) -> list[list[object]]:
    rows = [[number, rng.choice(WORDS), rng.random(), rng.choice(WORDS)] for number in range(count)]
    return [["number", "kind", "weight", "place"], *rows]


def _records(rng: random.Random, count: int) -> str:
    return "".join(f'{{"id": {number}, "text": "{_sentence(rng)}"}}\n' for number in range(count))


def _subtitles(rng: random.Random, count: int) -> str:
    return "".join(
        f"{n}\n{n // 1200:02}:{n // 20 % 60:02}:{n * 3 % 60:02},000 --> "
        f"{n // 1200:02}:{n // 20 % 60:02}:{n * 3 % 60 + 1:02},000\n{_sentence(rng)}\n\n"
        for n in range(count)
    )


def _html(rng: random.Random, size: int) -> str:
    body = _repeated(
        lambda: f"<h2>{_sentence(rng)}</h2><p>{_paragraph(rng)}</p><ul><li>{_sentence(rng)}</ul>", size
    )
    return f"<!DOCTYPE html><title>Page</title><body>{body}"


def _pdf(rng: random.Random, pages: int) -> bytes:
    objects = [b"<</Type/Catalog/Pages 2 0 R>>"]
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(pages))
    objects.append(b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages))
    objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    for number in range(pages):
        lines = [f"({_sentence(rng)[:80]}) Tj 0 -14 Td" for _ in range(45)]
        content = f"BT /F1 11 Tf 72 740 Td {' '.join(lines)} ET".encode()
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (5 + 2 * number)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, each) for n, each in enumerate(objects, start=1))
    return b"%PDF-1.4\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF\n"


def _docx(rng: random.Random, paragraphs: int) -> bytes:
    samples = _samples()
    return samples.docx(
        "".join(
            samples.word_paragraph(_paragraph(rng), new_page=number % 12 == 0)
            for number in range(1, paragraphs)
        )
    )


def _rtf(rng: random.Random, size: int) -> str:
    return "{\\rtf1\\ansi " + _repeated(lambda: _paragraph(rng) + "\\par\n", size) + "}"


def _odt(rng: random.Random, paragraphs: int) -> bytes:
    return _samples().odt("".join(f"<text:p>{_paragraph(rng)}</text:p>" for _ in range(paragraphs)))


def _epub(rng: random.Random, chapters: int) -> bytes:
    return _samples().epub([f"<h1>Chapter</h1><p>{_prose(rng, 20_000)}</p>" for _ in range(chapters)])


def _mail(rng: random.Random, size: int) -> bytes:
    head = "From: a@example.org\nSubject: Report\nContent-Type: text/plain; charset=utf-8\n\n"
    return (head + _prose(rng, size)).encode()


def _notebook(rng: random.Random, cells: int) -> bytes:
    kinds = ("markdown", "code")
    return _samples().sample_ipynb(
        [
            {"cell_type": kinds[n % 2], "metadata": {}, "source": _paragraph(rng), "outputs": []}
            for n in range(cells)
        ]
    )
