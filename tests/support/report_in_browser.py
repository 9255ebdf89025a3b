"""Opens a report in headless Chromium and uses it as a person would; run by `scripts/check-report`.

Exits with 1 at the first thing that is not as it should be, and when there is no browser.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.inspection.report.page import write_report

DOCUMENTS = Path(__file__).resolve().parents[2] / "data" / "documents"
HOSTILE = (
    "# <script>window.stolen = 1</script>\n\n"
    '</script><img src=x onerror="window.stolen = 1"> \x1b[31mred\x1b[0m \u202eright to left '
    "&lt;b&gt; \U0001f600\U0001f600 zanzibar\n\n" + "A plain sentence about nothing at all. " * 120
)


def check(holds: bool, what: str) -> None:
    sys.stdout.write(f"{'ok' if holds else 'FAILED'}: {what}\n")
    if not holds:
        sys.exit(1)


@contextmanager
def report() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with RAGSystem.open(base / "store", embedder=DeterministicEmbedder()) as system:
            system.ingest(DOCUMENTS)
            system.add_document(HOSTILE, name="<b>hostile</b>.md", title="<i>title</i>")
            write_report(system, base / "report.html")
        yield base / "report.html"


def chromium() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("error: no Chromium found\nhint: `apt-get install chromium`, or set CHROMIUM to its path")
    return found


def use(page: Any, screenshots: Path | None) -> None:
    rows = page.locator("#documents tbody tr")
    total = rows.count()
    check(total == 25, f"every document is listed ({total})")

    page.keyboard.press("/")
    page.keyboard.type("zanzibar")
    found = rows.first.inner_text()
    check(rows.count() == 1 and "<b>hostile</b>.md" in found, "search finds words of a text")
    rows.first.focus()
    page.keyboard.press("Enter")
    check(page.locator("#browser-heading").inner_text() == "<b>hostile</b>.md", "Enter opens a document")
    check(page.locator("#text").evaluate("e => e.textContent") == HOSTILE, "its text is shown exactly")
    check(page.evaluate("window.stolen === undefined"), "markup in a document stays text")
    check(page.locator("#text script, #text img, #text b").count() == 0, "no element comes from a document")

    options = page.locator("#chunks [role=option]")
    page.locator("#chunks").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    check(options.nth(1).get_attribute("aria-selected") == "true", "arrow keys choose a window")
    start, end = (int(part) for part in options.nth(1).inner_text().split(": ")[1].split(",")[0].split("-"))
    lit = page.locator("#text .chosen").evaluate_all("all => all.map(e => e.textContent).join('')")
    check(lit == HOSTILE[start:end], "the chosen window is the one that lights up, to the character")
    page.locator("#text span.one, #text span.two").first.click()
    check(options.first.get_attribute("aria-selected") == "true", "a click on the text chooses its window")
    if screenshots:
        page.screenshot(path=screenshots / "report-document.png")

    page.locator("#search").fill("")
    check(rows.count() == total, "an empty search shows everything again")
    page.locator("th button[data-key=characters]").click()
    sizes = [int(text.replace(",", "")) for text in page.locator("tbody td:nth-child(4)").all_inner_texts()]
    check(sizes == sorted(sizes), "a click on a heading sorts by it")
    page.locator("th button[data-key=characters]").click()
    rows.first.click()
    check(page.locator("#text .shared").count() > 0, "text that two windows share is marked")
    if screenshots:
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=screenshots / "report.png", full_page=True)


def main() -> None:
    from playwright.sync_api import sync_playwright

    screenshots = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
    with report() as path, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        use(page, screenshots)
        outside = [url for url in requests if not url.startswith("data:") and url != path.as_uri()]
        check(not outside, f"no request leaves the page {outside}")
        check(not complaints, f"the console is silent {complaints}")
        browser.close()


if __name__ == "__main__":
    main()
