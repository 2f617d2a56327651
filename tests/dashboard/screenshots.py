"""`make screenshots`: the pages over example jobs, in light, dark and narrow, as docs/screenshots/NAME-MODE.png."""

import asyncio
import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.db import migrate
from app.embedded import EmbeddedPostgres
from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser, open_browser
from tests.dashboard.conftest import open_link
from tests.dashboard.jobs import call, create
from tests.service_process import ROOT, ServiceProcess

WIDTH = 1_200
NARROW = 375
TALLEST = 1_500
FOLDERS = ("asyncio", "email", "encodings", "http", "json", "sqlite3", "unittest", "xml")
FAULTS = (
    ("not_text", "byte 0x89 at 0 is not UTF-8: a picture?"),
    ("too_large", "the file has 48.2 MB, and 20 MB are read at most"),
    ("not_text", "byte 0xff at 2 is not UTF-8"),
)


async def claim(api: httpx.AsyncClient, queue: str, worker: str) -> str:
    body = {"worker": worker, "queues": [queue], "lease_seconds": 600}
    (job,) = (await api.post("/v1/claims", json=body)).json()["jobs"]
    return str(job["lease"]["token"])


def files(done: int, *, all_well: bool = False) -> list[dict[str, Any]]:
    """What a worker has to say of the first files of a folder."""
    rows: list[dict[str, Any]] = []
    for number in range(done):
        key = f"{FOLDERS[number % len(FOLDERS)]}/module_{number:03}.py"
        row = {"key": key, "status": "completed", "size_bytes": 700 + number * 7919 % 60_000}
        if number % 90 == 41 and not all_well:
            code, message = FAULTS[number // 90 % len(FAULTS)]
            row |= {"status": "failed", "error_code": code, "message": message}
        elif number % 37 == 5:
            row["status"] = "skipped"
        rows.append(row)
    return rows


async def index(
    api: httpx.AsyncClient, collection: str, done: int, total: int, *, all_well: bool = False
) -> tuple[str, str]:
    """A job as the demo's: a folder that is indexed file by file. Returns it and its token."""
    payload = {"folder": "/usr/lib/python3", "collection": collection}
    labels = {"team": "search", "collection": collection}
    job = await create(api, "demo", type="index_folder", payload=payload, labels=labels)
    token = await claim(api, "demo", "indexer-1")
    for stage, message in (("scanning", f"{total} files found"), ("extracting", "reading the text of each file")):
        logs = [{"level": "info", "message": message}]
        await call(api, job, "report", token, stage=stage, message=message, logs=logs, items_total=total)
    rows = files(done, all_well=all_well)
    logs = [{"level": "warning", "message": f"{row['key']}: {row['message']}"} for row in rows if "message" in row]
    await call(api, job, "report", token, stage="indexing", message="writing to the index", items=rows, logs=logs)
    return job, token


async def fill(api: httpx.AsyncClient) -> str:
    """Create jobs in every state; returns the one whose page is shown."""
    for number in range(12):
        collection = ("manuals", "tickets", "contracts")[number % 3]
        job, token = await index(api, collection, 60 + number * 8, 60 + number * 8, all_well=number % 5 > 0)
        if number == 5:
            await call(api, job, "fail", token, code="s3_down", message="The bucket does not answer", retryable=False)
        else:
            await call(api, job, "complete", token)
    for number in range(3):
        await create(api, "reports", type="nightly_report", payload={"day": number})
    await create(api, "mail", type="send_digest", scheduled_at=(datetime.now(UTC) + timedelta(hours=8)).isoformat())
    await api.post("/v1/queues/mail/pause", json={"reason": "The relay is being moved"})
    return (await index(api, "python", 284, 412))[0]


async def shoot(screen: Browser, url: str, to: Path, mode: str) -> None:
    """Take a picture of a page, as tall as it is and not taller than `TALLEST`."""
    await screen.dark("dark" if mode == "dark" else "light")
    width = NARROW if mode == "narrow" else WIDTH
    metrics = {"width": width, "deviceScaleFactor": 1, "mobile": False}
    await screen.emulate("setDeviceMetricsOverride", height=800, **metrics)
    await screen.open(url)
    await screen.until("return document.readyState === 'complete' && !document.querySelector('.htmx-request')")
    await screen.run("document.getAnimations().forEach((one) => one.finish())")
    height = await screen.run("return document.documentElement.scrollHeight")
    await screen.emulate("setDeviceMetricsOverride", height=min(max(height, 600), TALLEST), **metrics)
    taken = await screen.devtools("Page.captureScreenshot", format="png", optimizeForSpeed=False)
    await asyncio.to_thread(to.write_bytes, base64.b64decode(taken["data"]))


@contextmanager
def room() -> Iterator[Path]:
    """A folder that the database's own user can enter, too."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


async def main(folder: Path) -> None:
    with room() as place, EmbeddedPostgres(place / "database") as server:
        await asyncio.to_thread(migrate.upgrade, server.url)
        service = ServiceProcess(server.url, place / "service")
        try:
            await service.ready()
            async with service.client() as api, open_browser(place / "profile", "--hide-scrollbars") as screen:
                job = await fill(api)
                await open_link(screen, service, api)
                pages = {
                    "job": f"/ui/jobs/{job}",
                    "now": "/",
                    "jobs": "/ui/jobs",
                    "queues": "/ui/queues",
                    "keys": "/ui/keys",
                    "system": "/ui/system",
                    "first-worker": "/ui/first-worker",
                    "sign-in": "/sign-in",
                }
                for page, path in pages.items():
                    for mode in ("light", "dark", "narrow"):
                        await shoot(screen, f"{service.url}{path}", folder / f"{page}-{mode}.png", mode)
        finally:
            service.stop()


if __name__ == "__main__":
    if not (CHROMIUM and CHROMEDRIVER):
        sys.exit(f"There is {MISSING}.")
    pictures = ROOT / "docs/screenshots"
    pictures.mkdir(exist_ok=True)
    asyncio.run(main(pictures))
