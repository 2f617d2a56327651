"""The page of jobs: what it shows of each, its filter and pages, what a key may, and what stays current."""

import asyncio
import html
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.dashboard.job_lists import OwnProject, own_project
from tests.service_process import ServiceProcess

HOSTILE = '"><img src=x onerror=alert(1)>\'{{7*7}}<hx-partial hx-target="#rows">'


@pytest_asyncio.fixture
async def project(service: ServiceProcess) -> AsyncIterator[OwnProject]:
    async with own_project(service) as one:
        yield one


@pytest_asyncio.fixture
async def reader(project: OwnProject) -> AsyncIterator[httpx.AsyncClient]:
    async with project.browser() as opened:
        yield opened


async def shown(browser: httpx.AsyncClient, filter_text: str | None = None, status: int = 200) -> str:
    answer = await browser.get("/ui/jobs", params={} if filter_text is None else {"filter": filter_text})
    assert answer.status_code == status, answer.text
    return answer.text


def ids_of(page: str) -> list[str]:
    """The jobs of a page, in its order."""
    return re.findall(r'<tr id="job-([0-9a-f-]+)">', page)


def row_of(page: str, job_id: str) -> str:
    """The text of a job's row."""
    row = page.partition(f'<tr id="job-{job_id}">')[2].partition("</tr>")[0]
    return html.unescape(" ".join(re.sub("<[^>]+>", " ", row).split()))


async def test_with_no_job_yet_the_page_says_where_to_begin(reader: httpx.AsyncClient) -> None:
    page = await shown(reader)
    assert "There is no job yet." in page
    assert '<a href="/">start page</a>' in page
    assert "No job matches." in await shown(reader, "type:nothing")


async def test_a_row_says_how_its_job_is_going(project: OwnProject, reader: httpx.AsyncClient) -> None:
    items = [{"key": f"f{n}"} for n in range(1000)]
    (job_id,) = await project.jobs(type="nightly", queue="docs", items=items)
    token = await project.claimed(job_id)
    changes = [{"key": f"f{n}", "status": "failed" if n < 3 else "completed"} for n in range(600)]
    await project.api.post(f"/v1/jobs/{job_id}/report", json={"token": token, "items": changes})
    failed = await project.failed(type="etl", code="s3_down", message="bucket gone")
    page = await shown(reader)
    assert ids_of(page) == [failed, job_id], "the newest first"
    text = row_of(page, job_id)
    assert re.fullmatch(rf"running {job_id[-8:]} nightly docs 600 of 1,000 3 failed \d+ s ago \d+ s", text)
    assert f'href="/ui/jobs/{job_id}"' in page
    assert row_of(page, failed).endswith("s3_down: bucket gone")


async def test_nothing_that_users_send_is_markup(project: OwnProject, reader: httpx.AsyncClient) -> None:
    await project.failed(HOSTILE[:60], HOSTILE + "y" * 4000, type=HOSTILE, queue=HOSTILE, labels={HOSTILE: HOSTILE})
    filter_text = 'type:"' + HOSTILE.replace('"', '\\"') + '"'
    for page in (await shown(reader), await shown(reader, filter_text), await shown(reader, HOSTILE, 422)):
        assert "<img" not in page
        assert "<hx-" not in page
        assert "{{7*7}}" in page
    assert len(ids_of(await shown(reader, filter_text))) == 1
    assert len(await shown(reader, filter_text)) < 12_000, "a long error is cut"
    completed = (await reader.get("/ui/jobs/complete", params={"filter": "type:"})).text
    assert "<img" not in completed
    assert html.escape(HOSTILE.replace('"', '\\"'), quote=False).split("'")[0] in completed.replace("&#34;", '"')


@pytest.mark.parametrize(
    ("filter_text", "sentence"),
    [("stauts:failed", "Did you mean status?"), ("status:faild", "Did you mean failed?"), ("queue:", "wants a name")],
)
async def test_an_unknown_word_is_a_sentence_and_no_result(
    project: OwnProject, reader: httpx.AsyncClient, filter_text: str, sentence: str
) -> None:
    await project.jobs()
    page = await shown(reader, filter_text, 422)
    assert sentence in page
    assert not ids_of(page)
    assert f'value="{filter_text}"' in page, "to be corrected"


async def test_the_filter_selects(project: OwnProject, reader: httpx.AsyncClient) -> None:
    (docs,) = await project.jobs(queue="docs", type="a b", labels={"team": "search"}, collection="wiki")
    (other,) = await project.jobs(queue="other", labels={"team": "ads"})
    for filter_text in ("queue:docs", 'type:"a b"', "label:team=search", "collection:wiki", "queue:docs since:1h"):
        assert ids_of(await shown(reader, filter_text)) == [docs], filter_text
    assert ids_of(await shown(reader, "status:pending queue:docs queue:other")) == [other, docs]
    assert not ids_of(await shown(reader, "until:1h"))


async def test_an_id_finds_its_job(project: OwnProject, reader: httpx.AsyncClient) -> None:
    job_id, other = await project.jobs(2)
    for text in (job_id, job_id[-8:], job_id[-12:].upper()):
        assert ids_of(await shown(reader, text)) == [job_id]
    assert other not in await shown(reader, job_id)
    assert "None of the newest 1,000 jobs has an id that ends so." in await shown(reader, "00000000")
    assert "There is no job with this id." in await shown(reader, "01890a5d-ac96-774b-bcce-b302099a8057")


async def test_pages_go_from_the_newest_to_the_oldest(project: OwnProject, reader: httpx.AsyncClient) -> None:
    ids = await project.jobs(120, queue="docs")
    found: list[str] = []
    address: str | None = "/ui/jobs?filter=queue%3Adocs"
    for length in (50, 50, 20):
        assert address is not None
        page = (await reader.get(address)).text
        assert len(ids_of(page)) == length
        found += ids_of(page)
        link = re.search(r'id="older" rel="next" href="([^"]+)">Older<', page)
        address = html.unescape(link[1]) if link else None
    assert address is None
    assert found == ids
    cursor = re.search(r"cursor=([\w-]+)", (await reader.get("/ui/jobs?filter=queue%3Adocs")).text)
    assert cursor
    wrong = await reader.get("/ui/jobs", params={"filter": "queue:x", "cursor": cursor[1]})
    assert wrong.status_code == 422
    assert "This page belongs to another filter." in wrong.text


async def test_a_sparse_filter_offers_to_search_further(project: OwnProject, reader: httpx.AsyncClient) -> None:
    (old,) = await project.jobs(queue="rare")
    for _ in range(6):
        await project.jobs(1000, queue="many")
    page = await shown(reader, "queue:rare")
    assert not ids_of(page)
    assert "None of the jobs that were looked at matches." in page
    assert "Searched so far: the jobs created since" in page
    link = re.search(r'id="older" rel="next" href="([^"]+)">Search further<', page)
    assert link
    assert ids_of((await reader.get(html.unescape(link[1]))).text) == [old]


async def test_queues_types_and_labels_are_completed(project: OwnProject, reader: httpx.AsyncClient) -> None:
    await project.jobs(queue="docs", type="nightly etl", labels={"team": "search"})
    for text, option in (
        ("queue:d", "queue:docs"),
        ("status:failed type:ni", 'status:failed type:"nightly etl"'),
        ("label:te", "label:team=search"),
        ("st", "status:"),
    ):
        completed = html.unescape((await reader.get("/ui/jobs/complete", params={"filter": text})).text)
        assert completed.strip() == f'<option value="{option}"></option>', text


async def test_who_may_only_read_is_offered_nothing_else(project: OwnProject) -> None:
    await project.jobs()
    async with project.browser(["read"]) as reader:
        page = await shown(reader, "status:pending")
        assert len(ids_of(page)) == 1
        for part in ("cancel-selected", "rerun-all", "checkbox"):
            assert part not in page
    async with project.browser(["work"]) as worker:
        assert (await worker.get("/ui/jobs")).status_code == 403


async def test_rows_and_new_jobs_are_streamed(project: OwnProject, reader: httpx.AsyncClient) -> None:
    (job_id,) = await project.jobs(queue="live")
    page = await shown(reader, "queue:live")
    found = re.search(r'hx-sse:connect="([^"]+)"', page)
    assert found
    async with asyncio.timeout(20), reader.stream("GET", html.unescape(found[1])) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        await project.claimed(job_id)
        await project.jobs(queue="live", type=HOSTILE)
        await project.jobs(queue="other")
        told = ""
        while "1 new: show" not in told or "dispatched" not in told:
            told += await anext(lines)
    assert f'<hx-partial hx-target="#job-{job_id}"' in told


async def test_a_stream_that_was_made_up_is_harmless(reader: httpx.AsyncClient) -> None:
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    for seen in ("", "x", f"{unknown}.1", f"{unknown}.{'9' * 30}", ",".join([f"{unknown}.1"] * 100), f"{unknown}.ü"):
        async with asyncio.timeout(10), reader.stream("GET", "/ui/jobs/live", params={"seen": seen}) as stream:
            assert stream.status_code == 200
