"""What the page of a job shows below its head, and what its parts answer."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from tests.dashboard.conftest import sign_in, visitor
from tests.inside_service import serve_inside
from tests.service_process import API_KEY, ServiceProcess

HOSTILE = "\"><img src=x onerror=alert(1)>'{{7*7}}<script>"
PARTIAL = {"HX-Request": "true"}


async def _create(api: httpx.AsyncClient, queue: str, **fields: Any) -> str:
    answer = await api.post("/v1/jobs", json={"type": "index", "queue": queue, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _claim(api: httpx.AsyncClient, queue: str, worker: str = "w1") -> str:
    body = {"worker": worker, "queues": [queue], "lease_seconds": 600, "wait": 5}
    [job] = (await api.post("/v1/claims", json=body)).json()["jobs"]
    return str(job["lease"]["token"])


async def _call(api: httpx.AsyncClient, job: str, what: str, token: str, **fields: Any) -> None:
    answer = await api.post(f"/v1/jobs/{job}/{what}", json={"token": token, **fields})
    assert answer.status_code == 200, answer.text


def _failed(key: str, code: str = "bad_csv") -> dict[str, Any]:
    return {"key": key, "status": "failed", "error_code": code, "error_message": f"{key} is torn"}


async def _ended(api: httpx.AsyncClient, queue: str, *, failed: int = 3, completed: int = 60, **fields: Any) -> str:
    """A job that failed in its second attempt, with files of each kind."""
    retry = {"delay_seconds": 0, "factor": 1, "max_delay_seconds": 0}
    job = await _create(api, queue, retry=retry, **fields)
    items = [{"key": f"ok-{n:03}", "status": "completed"} for n in range(completed)]
    items += [_failed(f"bad-{n:03}", "too_large" if n % 3 == 2 else "bad_csv") for n in range(failed)]
    for attempt in (1, 2):
        token = await _claim(api, queue, f"worker-{attempt}")
        logs = [{"level": level, "message": f"\x1b[31m{level}\x1b[0m of {attempt}"} for level in ("debug", "error")]
        await _call(api, job, "report", token, stage="reading", items=items, logs=logs)
        await _call(api, job, "fail", token, code="s3_down", message="bucket gone", retryable=attempt == 1)
    return job


def _text(page: str) -> str:
    """What a reader sees of a page, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def _keys(page: str) -> list[str]:
    return re.findall(r"<span data-row[^>]*>([^<]*)</span>", page)


async def test_first_answer_holds_errors_failed_files_and_attempts(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    job = await _ended(api, queue, payload={"folder": "/data"}, labels={"team": "search"})
    page = (await reader.get(f"/ui/jobs/{job}")).text
    assert _keys(page) == ["bad-000", "bad-001", "bad-002"], "those that failed come first"
    text = _text(page)
    assert re.search(r"Errors of 3 failed files 2 bad_csv .*?bad-000 is torn.*? first in bad-000 1 too_large", text)
    assert "Failed 3 All 63 Completed 60" in text
    assert re.search(r"Attempt 1 failed, to be tried again: s3_down · worker-1 · began .*? took 0 s", text)
    assert re.search(r"Attempt 2 failed: s3_down · worker-2 .*? bucket gone", text)
    assert page.count('class="attempt"') == 2
    assert re.search(r'id="attempt-2"\s+open', page), "the last one is open"
    assert not re.search(r'id="attempt-1"\s+open', page)
    assert '"folder": "/data"' in text
    assert "team" in text


async def test_files_are_shown_by_status_and_error_code_in_pages(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    job = await _ended(api, queue, failed=90)
    path = f"/ui/jobs/{job}"
    by_code = (await reader.get(f"{path}?files=failed&code=bad_csv")).text
    assert len(_keys(by_code)) == 50
    following = re.search(rf'id="files-next"[^>]*href="({path}\?[^"]*)#files"', by_code)
    assert following
    rest = (await reader.get(unescape(following[1]))).text
    assert len(_keys(rest)) == 10
    assert not set(_keys(rest)) & set(_keys(by_code))
    assert 'id="files-next"' not in rest
    assert 'id="files-first"' in rest
    every = (await reader.get(f"{path}/files?files=all", headers=PARTIAL)).text
    assert _keys(every)[0] == "ok-000"
    assert "<html" not in every, "a part of the page"
    alone = (await reader.get(f"{path}/files?files=all")).text
    assert "<html" in alone, "without script a page of its own"
    assert 'hx-get="' + f'{path}/errors"' in by_code, "more failed than the list holds: counted apart"
    errors = _text((await reader.get(f"{path}/errors", headers=PARTIAL)).text)
    assert "Errors of 90 failed files 60 bad_csv" in errors


@pytest.mark.parametrize(
    "query", ["files=x", "cursor=x", "code=" + "x" * 256, "&".join(f"code={n}" for n in range(21)), "files=all&cursor="]
)
async def test_addresses_of_no_list_are_refused(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str, query: str
) -> None:
    job = await _create(api, queue)
    assert (await reader.get(f"/ui/jobs/{job}?{query}")).status_code == 422
    assert (await reader.get(f"/ui/jobs/{job}/files?{query}", headers=PARTIAL)).status_code == 422
    for part in ("log?level=loud", "log?offset=-1", "log?attempt=x", "events?after=x", "news?failed=9" + "9" * 30):
        assert (await reader.get(f"/ui/jobs/{job}/{part}")).status_code == 422, part


async def test_checkpoint_of_a_job_that_goes_on_is_shown_when_it_is_unfolded(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    job = await _create(api, queue, retry={"delay_seconds": 0, "factor": 1, "max_delay_seconds": 0})
    path = f"/ui/jobs/{job}"
    assert "Checkpoint" not in (await reader.get(path)).text, "no worker had it yet"
    token = await _claim(api, queue)
    assert f'hx-get="{path}/checkpoint"' in (await reader.get(path)).text
    assert "No worker has kept a checkpoint" in (await reader.get(f"{path}/checkpoint", headers=PARTIAL)).text

    kept = {"done": [HOSTILE] * 2_000}
    await _call(api, job, "report", token, checkpoint=kept)
    part = (await reader.get(f"{path}/checkpoint", headers=PARTIAL)).text
    assert "<html" not in part, "a part of the page"
    assert "more characters are not shown here." in _text(part)
    assert "curl" not in part, "nothing but a claim reads it"
    assert "<img" not in part
    await _call(api, job, "report", token, checkpoint={"row": 7})
    assert '"row": 7' in _text((await reader.get(f"{path}/checkpoint")).text), "without script a page of its own"

    await _call(api, job, "fail", token, code="s3_down", message="bucket gone")
    assert '"row": 7' in _text((await reader.get(f"{path}/checkpoint")).text), "the next attempt goes on from it"
    await _call(api, job, "complete", await _claim(api, queue))
    assert "Checkpoint" not in (await reader.get(path)).text
    assert "goes when its job ends" in (await reader.get(f"{path}/checkpoint")).text


async def test_log_of_an_attempt_is_chosen_by_level_and_followed(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    path = f"/ui/jobs/{await _ended(api, queue)}/log"
    second = (await reader.get(f"{path}?attempt=2", headers=PARTIAL)).text
    assert "debug of 2" in _text(second), "without the terminal's colours"
    assert "of 1" not in _text(second)
    assert "End of the log." in second
    assert "debug of" not in (await reader.get(f"{path}?attempt=2&level=warning")).text
    live = await _create(api, f"{queue}-live")
    token = await _claim(api, f"{queue}-live")
    first = (await reader.get(f"/ui/jobs/{live}/log?attempt=1&place=1", headers=PARTIAL)).text
    for said in ("one", "two"):
        following = re.search(r'<li class="end muted" hx-get="([^"]+)" hx-trigger="every 2s"', first)
        assert following, "waits for more lines"
        assert (await reader.get(unescape(following[1]), headers=PARTIAL)).status_code == 204, "nothing new"
        await _call(api, live, "report", token, logs=[{"message": said}])
        first = (await reader.get(unescape(following[1]), headers=PARTIAL)).text
        assert re.findall(r'class="words">([^<]*)<', first) == [said]
        assert "<ol" not in first, "lines alone"


async def test_news_is_what_has_changed_since_the_page_was_made(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    job = await _create(api, queue, items=[{"key": key} for key in "abc"])
    token = await _claim(api, queue)

    async def news() -> str | None:
        answer = await reader.get(unescape(address), headers=PARTIAL)
        return None if answer.status_code == 204 else _text(answer.text)

    address = _news_address((await reader.get(f"/ui/jobs/{job}")).text)
    assert await news() is None
    await _call(api, job, "report", token, items=[_failed("a"), {"key": "b", "status": "completed"}])
    assert await news() == "1 more failed, 1 more done: show"
    shown = (await reader.get(f"/ui/jobs/{job}/sections", headers=PARTIAL)).text
    assert _keys(shown) == ["a"]
    address = _news_address(shown)
    await _call(api, job, "release", token)
    assert await news() == "The worker gave the job back: show"
    await _call(api, job, "report", await _claim(api, queue), items=[_failed("c")])
    await api.post(f"/v1/jobs/{job}/cancel")
    assert await news() == "1 more failed: show"


def _news_address(page: str) -> str:
    found = re.search(r'id="news"[^>]* hx-get="([^"]+)"', page)
    assert found, page
    return found[1]


async def test_reruns_are_a_line_of_chips(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    job = await _ended(api, queue)
    rerun = (await api.post(f"/v1/jobs/{job}/rerun")).json()["id"]
    text = _text((await reader.get(f"/ui/jobs/{job}/lineage", headers=PARTIAL)).text)
    assert text.startswith(f"Reruns {job[-8:]} this job {rerun[-8:]} pending")
    text = _text((await reader.get(f"/ui/jobs/{rerun}/lineage", headers=PARTIAL)).text)
    assert text == f"Reruns {job[-8:]} failed, the original {rerun[-8:]} this job"
    assert job in (await reader.get(f"/ui/jobs/{rerun}")).text, "the first answer names the original"


async def test_files_of_an_error_code_are_rerun(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    job = await _ended(api, queue)
    assert "rerun these" in (await reader.get(f"/ui/jobs/{job}")).text
    path = f"/ui/jobs/{job}/errors/rerun"
    made = await reader.post(path, data={"code": "bad_csv"}, headers=PARTIAL)
    assert made.status_code == 204
    assert _keys((await reader.get(made.headers["hx-redirect"])).text) == ["bad-000", "bad-001"]
    assert (await reader.post(path, data={"code": "bad_csv"}, headers=PARTIAL)).status_code == 409, "one is live"
    assert (await reader.post(path, data={"code": ""}, headers=PARTIAL)).status_code == 422
    assert (await reader.post(path, data={"code": "x"}, headers={"X-Jobtrack-Form": "0"})).status_code == 403


@pytest.mark.parametrize("limits", [{"scopes": ["read"]}, {"scopes": ["read", "submit"], "queues": ["other"]}])
async def test_what_a_key_may_not_do_is_not_offered(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str, limits: dict[str, Any]
) -> None:
    job = await _ended(api, queue)
    made = (await api.post("/v1/keys", json={"name": "limited", **limits})).json()
    async with visitor(service) as browser:
        await sign_in(browser, made["key"])
        page = (await browser.get(f"/ui/jobs/{job}")).text
        assert "show these files" in page
        assert "rerun these" not in page
        refused = await browser.post(f"/ui/jobs/{job}/errors/rerun", data={"code": "bad_csv"}, headers=PARTIAL)
        assert refused.status_code == 403


async def test_what_users_write_is_text_on_every_part(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    fields: dict[str, Any] = {"payload": {HOSTILE: HOSTILE}, "labels": {HOSTILE: HOSTILE}}
    job = await _create(api, queue, items=[{"key": HOSTILE, "name": HOSTILE + "n"}], max_attempts=1, **fields)
    token = await _claim(api, queue, HOSTILE)
    failed = {"key": HOSTILE, "status": "failed", "error_code": HOSTILE, "error_message": HOSTILE, "stage": HOSTILE}
    await _call(api, job, "report", token, items=[failed], stage=HOSTILE, logs=[{"message": HOSTILE}])
    await _call(api, job, "fail", token, code=HOSTILE, message=HOSTILE)
    for part in ("", "/files", "/errors", "/attempts", "/log", "/events", "/lineage", "/sections"):
        answer = await reader.get(f"/ui/jobs/{job}{part}", params={"code": HOSTILE} if part == "/files" else {})
        assert answer.status_code == 200, part
        assert "<img" not in answer.text, part
        assert "<script>" not in answer.text, part


async def test_long_documents_are_cut_with_the_call_that_reads_them(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    for payload in ({"k": ["v" * 100] * 400}, {"k": ["v" * 100] * 4_000}):
        page = (await reader.get(f"/ui/jobs/{await _create(api, queue, payload=payload)}")).text
        assert "more characters are not shown here" in page
        assert len(page) < 60_000
        assert "$JOBTRACK_API_KEY" in page
        assert "| jq .payload" in page


async def test_each_api_that_is_served_reads_the_job_by_the_call_that_is_shown(
    service: ServiceProcess, api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    page = (await reader.get(f"/ui/jobs/{await _create(api, queue)}")).text
    calls = [unescape(call) for call in re.findall(r'<code id="reading-[^"]+">([^<]+)</code>', page)]
    assert len(calls) == 6
    for call in calls:
        assert service.api_key not in call
        address = re.search(r"http://[^ ']+", call)
        body = re.search(r"-d '([^']+)'", call)
        assert address
        method = "POST" if body else "GET"
        headers = {"Content-Type": "application/json"} if body else {}
        answer = await api.request(method, address[0], content=body[1] if body else None, headers=headers)
        assert answer.status_code == 200, call


async def test_first_answer_takes_three_statements(database_url: str) -> None:
    async with serve_inside(database_url) as inside:
        sent: list[str] = []
        inside.runtime.database.on_statement = lambda statement: sent.append(statement.sql)
        async with httpx.AsyncClient(
            base_url=inside.client.base_url, headers={"Sec-Fetch-Site": "same-origin"}
        ) as browser:
            await sign_in(browser, API_KEY)
            job = await _ended(inside.client, "ended")
            found = []
            # What runs in the background falls into some of these moments, never into all.
            for _ in range(6):
                sent.clear()
                assert (await browser.get(f"/ui/jobs/{job}")).status_code == 200
                found.append([*sent])
            assert len(min(found, key=len)) == 3, found
