"""The page of queues and workers: what it says, what it changes, and whom it refuses."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.dashboard.conftest import sign_in, visitor
from tests.service_process import ServiceProcess

NAME = """a/b "c" '<script>alert(1)</script>&d=e?f#g%20"""


@pytest_asyncio.fixture
async def queue(api: httpx.AsyncClient) -> str:
    """A queue of the test's own, whose name nothing may take for more than text."""
    name = f"{uuid4().hex[:8]}{NAME}"
    answer = await api.put(path_of(name), json={"concurrency_limit": 4, "retry": {"delay_seconds": 5}})
    assert answer.status_code == 200, answer.text
    return name


def path_of(name: str) -> str:
    """The queue in the API."""
    return f"/v1/queues/{quote(name, safe='')}"


async def page_of(reader: httpx.AsyncClient, **query: str) -> str:
    """The text of the page, without its markup."""
    answer = await reader.get("/ui/queues", params=query)
    assert answer.status_code == 200, answer.text
    assert "<script>alert" not in answer.text
    return plain(answer.text)


def plain(markup: str) -> str:
    """What a page says."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", markup)))


async def change(reader: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    """Send a form as htmx does."""
    return await reader.post(f"/ui/queues/{path}", data=form, headers={"HX-Request": "true"})


async def test_queue_is_shown_with_what_waits_and_what_is_held(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    for at in (None, None, "2100-01-01T00:00:00Z"):
        await api.post("/v1/jobs", json={"type": "t", "queue": queue, "payload": {}, "scheduled_at": at})
    await api.post("/v1/claims", json={"worker": f"w {queue}", "queues": [queue], "max": 1})
    said = await page_of(reader, name=queue[:8].upper())
    assert queue in said
    assert "1 of 4" in said
    assert "2 pending1 dispatched" in said
    assert re.search(r" 1\d+ s11 of 43 / 0", said), "one due, one scheduled, and held of the limit"


async def test_pause_has_its_author_reason_and_end(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    paused = await change(reader, "pause", queue=queue, reason="index <b>rebuilt", **{"for": "3600"})
    assert paused.status_code == 200, paused.text
    assert paused.headers["hx-trigger"] == "queues-changed"
    assert "is paused" in paused.text
    stored = (await api.get(path_of(queue))).json()
    assert (stored["paused_by"], stored["reason"]) == ("first key", "index <b>rebuilt")
    left = datetime.fromisoformat(stored["until"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < left < timedelta(minutes=61)
    assert (stored["concurrency_limit"], stored["retry"]["delay_seconds"]) == (4, 5)
    said = await page_of(reader, name=queue[:8])
    assert re.search(r"Paused \d s ago by first key: index <b>rebuilt · resumes in (59|60|1) ", said), said
    form = await reader.get("/ui/queues/pause", params={"queue": queue})
    assert f'data-utc="{stored["until"][:16]}' in form.text, "what is not changed stays"
    assert (await change(reader, "resume", queue=queue)).status_code == 200
    assert (await api.get(path_of(queue))).json()["paused"] is False


async def test_pause_ends_at_a_time_in_the_future(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    async def pause(at: str) -> httpx.Response:
        return await change(reader, "pause", queue=queue, reason="kept", at=at, **{"for": "at"})

    for at, why in (
        ("2020-01-01T00:00:00Z", "has passed"),
        ("2100-01-01T00:00", "has no zone"),
        ("soon", "not a time"),
        ("", "Choose a day"),
        ("9999-12-31T23:59:59Z", "out of range"),
    ):
        refused = await pause(at)
        assert refused.status_code == 422
        assert why in plain(refused.text)
        assert 'value="kept"' in refused.text, "what was written is not lost"
        assert (await change(reader, "pause", queue=queue, **{"for": at or "-1"})).status_code == 422
    assert (await api.get(path_of(queue))).json()["paused"] is False
    assert (await pause("2100-01-01T02:00:00.000+02:00")).status_code == 200
    assert (await api.get(path_of(queue))).json()["until"] == "2100-01-01T00:00:00.000Z"


async def test_one_rule_is_changed_and_the_others_are_kept(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    await change(reader, "pause", queue=queue, reason="why")
    forms = (
        ("limit", {"limit": "7"}),
        ("retry", {"delay": "0.5", "factor": "3"}),
        ("retention", {"length": "36", "unit": "hours"}),
    )
    for rule, form in forms:
        answer = await change(reader, f"rules/{rule}", queue=queue, **form)
        assert answer.status_code == 200, answer.text
        assert answer.headers["hx-trigger"] == "queues-changed"
    stored = (await api.get(path_of(queue))).json()
    assert stored["concurrency_limit"] == 7
    assert stored["retry"] == {"delay_seconds": 0.5, "factor": 3.0, "max_delay_seconds": 600.0}
    assert stored["retention"]["seconds"] == 36 * 3600
    assert (stored["paused"], stored["reason"]) == (True, "why")
    card = (await reader.get("/ui/queues", params={"queue": queue})).text
    for shown in ('value="7"', 'value="0.5"', 'value="36"', '<option value="hours" selected>'):
        assert shown in card
    for rule, _ in forms:
        assert (await change(reader, f"rules/{rule}", queue=queue)).status_code == 200
    stored = (await api.get(path_of(queue))).json()
    assert (stored["concurrency_limit"], stored["retry"], stored["retention"]) == (None, None, None)
    assert stored["reason"] == "why"


@pytest.mark.parametrize(
    ("rule", "form"),
    [
        ("limit", {"limit": "0"}),
        ("limit", {"limit": "1000001"}),
        ("limit", {"limit": "1.5"}),
        ("limit", {"limit": "<b>"}),
        ("retry", {"delay": "-1"}),
        ("retry", {"factor": "0.5"}),
        ("retry", {"max_delay": "604801"}),
        ("retry", {"delay": "1e3"}),
        ("retention", {"length": "59", "unit": "seconds"}),
        ("retention", {"failed_length": "1", "failed_unit": "seconds"}),
        ("expected", {"expected": "0", "expected_unit": "days"}),
        ("retention", {"length": "999999999999", "unit": "days"}),
        ("retention", {"length": "٣", "unit": "days"}),
    ],
)
async def test_wrong_rule_is_refused_beside_its_field(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str, rule: str, form: dict[str, str]
) -> None:
    before = (await api.get(path_of(queue))).json()
    refused = await change(reader, f"rules/{rule}", queue=queue, **form)
    assert refused.status_code == 422
    assert 'class="fault"' in refused.text
    assert "hx-retarget" not in refused.headers
    assert "<b>" not in refused.text
    assert (await api.get(path_of(queue))).json()["updated_at"] == before["updated_at"]


async def test_what_a_key_may_not_is_neither_offered_nor_done(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    other = f"{queue[:8]}other"
    await api.put(path_of(other), json={})
    for scopes, queues, status in ((["read"], None, 403), (["admin"], [other], 403), (["admin"], [queue], 200)):
        made = await api.post("/v1/keys", json={"name": "k", "scopes": scopes, "queues": queues})
        async with visitor(service) as browser:
            await sign_in(browser, made.json()["key"])
            shown = (await browser.get("/ui/queues", params={"queue": queue, "name": queue})).text
            assert ('id="limit-form"' in shown) == (status == 200)
            assert ("Pause …" in shown) == (status == 200)
            assert queue in plain(shown)
            for path, form in (("pause", {}), ("resume", {}), ("rules/limit", {"limit": "5"})):
                answer = await change(browser, path, queue=queue, **form)
                assert answer.status_code == status, (scopes, path, answer.text)
            assert (await browser.get("/ui/queues/pause", params={"queue": queue})).status_code == status
    assert (await api.get(path_of(queue))).json()["concurrency_limit"] == 5


async def test_change_wants_the_token_of_the_page(reader: httpx.AsyncClient, queue: str) -> None:
    reader.headers["X-Jobtrack-Form"] = "0" * 64
    assert (await change(reader, "pause", queue=queue)).status_code == 403


async def test_names_that_are_none_are_refused(reader: httpx.AsyncClient) -> None:
    # What has such a name since before the rule goes on with it.
    for name in ("", "x" * 256, f"a/../{uuid.uuid4()}", "line\nfeed"):
        for path in ("pause", "rules/limit"):
            refused = await change(reader, path, queue=name)
            assert refused.status_code == 422, name
            assert refused.headers["hx-retarget"] == "#notes"
    assert (await change(reader, "rules/other", queue="q")).status_code == 404


async def test_numbers_come_for_the_rows_that_are_shown(api: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    mark = uuid4().hex[:8]
    for n in (1, 3):
        await api.put(f"/v1/queues/{mark}-{n}", json={})
    page = (await reader.get("/ui/queues", params={"name": mark})).text
    [numbers] = re.findall(r'hx-get="(/ui/queues/numbers[^"]+)"', page)
    await api.put(f"/v1/queues/{mark}-2", json={})
    now = plain((await reader.get(unescape(numbers))).text)
    assert [f"{mark}-{n}" in now for n in (1, 2, 3)] == [True, False, True], "no row moves under the pointer"
    assert "1 new queue: show" in now


async def test_queues_and_workers_are_paged(api: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    mark = uuid4().hex[:8]
    for n in range(52):
        await api.post("/v1/claims", json={"worker": f"{mark}-{n:02}", "queues": [f"{mark}-{n:02}"], "types": None})
        await api.put(f"/v1/queues/{mark}-{n:02}", json={})
    async with asyncio.timeout(30):
        while len((await api.get("/v1/workers", params={"name": mark, "limit": 100})).json()["workers"]) < 52:
            await asyncio.sleep(0.1)
    query = {"name": mark, "worker": mark}
    answer = await reader.get("/ui/queues", params=query)
    assert f"{mark}-49" in plain(answer.text)
    assert f"{mark}-50" not in plain(answer.text)
    [following] = re.findall(r'id="next-queues" rel="next" href="([^"]+)"', answer.text)
    second = await reader.get(unescape(following))
    queues, _, workers = second.text.partition('id="workers"')
    assert f"{mark}-51" in queues
    assert f"{mark}-49" not in queues
    assert 'id="first-queues"' in queues
    assert f"{mark}-49" in workers, "the pages of the workers are their own"
    wrong = await reader.get("/ui/queues", params={"after": "AAAA"})
    assert wrong.status_code == 422


async def test_nothing_is_said_in_words(reader: httpx.AsyncClient) -> None:
    mark = f"{uuid4().hex[:8]}<b>"
    said = await page_of(reader, name=mark, worker=mark)
    assert f"No queue's name contains “{mark}”. Set rules for a queue of this name." in said
    assert f"No worker's name contains “{mark}”." in said
    assert "no job has used it of late" in await page_of(reader, queue=mark)
