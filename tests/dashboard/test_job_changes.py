"""Cancelling and rerunning many jobs from the page: counted first, in steps, and only what the key may change."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.dashboard.job_lists import OwnProject, fields_of, own_project
from tests.service_process import ServiceProcess


@pytest_asyncio.fixture
async def project(service: ServiceProcess) -> AsyncIterator[OwnProject]:
    async with own_project(service) as one:
        yield one


@pytest_asyncio.fixture
async def reader(project: OwnProject) -> AsyncIterator[httpx.AsyncClient]:
    async with project.browser() as opened:
        yield opened


async def asked(browser: httpx.AsyncClient, kind: str, filter_text: str) -> str:
    answer = await browser.get("/ui/jobs/change", params={"kind": kind, "filter": filter_text})
    assert answer.status_code == 200, answer.text
    return answer.text


async def live(project: OwnProject, **conditions: str) -> int:
    answer = await project.api.get("/v1/jobs", params={"status": "pending", "limit": 500, **conditions})
    return len(answer.json()["jobs"])


async def test_all_that_match_are_counted_and_cancelled_in_steps(
    project: OwnProject, reader: httpx.AsyncClient
) -> None:
    await project.jobs(1000, queue="docs")
    await project.jobs(240, queue="docs")
    (other,) = await project.jobs(queue="other")
    dialog = await asked(reader, "cancel", "queue:docs")
    assert "Cancel 1,240 jobs that match?" in dialog
    assert await project.status(other) == "pending", "a count changes nothing"
    (later,) = await project.jobs(queue="docs")
    step = (await reader.post("/ui/jobs/cancel", data=fields_of(dialog))).text
    assert "1,000 cancelled of 1,240." in step
    assert 'hx-trigger="load delay:100ms, click"' in step, "goes on by itself"
    again = (await reader.post("/ui/jobs/cancel", data=fields_of(dialog))).text
    assert fields_of(again) == fields_of(step), "a repeated step changes nothing more"
    end = (await reader.post("/ui/jobs/cancel", data=fields_of(step))).text
    assert "1,240 jobs cancelled" in end
    assert "hx-post" not in end
    assert await project.status(later) == "pending", "created after the count"
    assert await project.status(other) == "pending"
    assert "Nothing to cancel" in await asked(reader, "cancel", "queue:docs until:2020-01-01")


async def test_all_that_match_are_rerun_in_steps(project: OwnProject, reader: httpx.AsyncClient) -> None:
    ids = await project.jobs(130, queue="docs")
    await project.api.post("/v1/jobs/cancel", json={"queue": ["docs"]})
    await project.api.post(f"/v1/jobs/{ids[0]}/rerun")
    dialog = await asked(reader, "rerun", "queue:docs status:cancelled since:24h")
    assert "Rerun 130 jobs that match?" in dialog
    assert "Only the files that failed" in dialog
    assert "since:20" in fields_of(dialog)["filter"], "the last 24 hours are those of the count"
    step = (await reader.post("/ui/jobs/rerun", data=fields_of(dialog))).text
    assert "99 rerun of 130." in step
    await reader.post("/ui/jobs/rerun", data=fields_of(dialog))
    end = (await reader.post("/ui/jobs/rerun", data=fields_of(step))).text
    assert "129 jobs rerun" in end
    assert "1 was left out: its rerun is not over" in end
    assert await live(project, queue="docs") == 130


async def test_only_failed_files_can_be_rerun(project: OwnProject, reader: httpx.AsyncClient) -> None:
    (job_id,) = await project.jobs(queue="files", items=[{"key": "a"}, {"key": "b"}])
    token = await project.claimed(job_id)
    items = [{"key": "a", "status": "failed"}, {"key": "b", "status": "completed"}]
    await project.api.post(f"/v1/jobs/{job_id}/report", json={"token": token, "items": items})
    await project.api.post(f"/v1/jobs/{job_id}/complete", json={"token": token})
    whole = await project.failed(queue="files")
    dialog = await asked(reader, "rerun", "queue:files")
    end = (await reader.post("/ui/jobs/rerun", data=fields_of(dialog) | {"only_failed": "yes"})).text
    assert "1 job rerun" in end
    assert "nothing to rerun" in end, f"{whole} has no files"
    (rerun,) = (await project.api.get("/v1/jobs", params={"original_job_id": job_id})).json()["jobs"]
    assert rerun["counts"]["total"] == 1


async def test_selected_jobs_are_changed_one_by_one(project: OwnProject, reader: httpx.AsyncClient) -> None:
    ids = await project.jobs(3)
    ended = await project.failed()
    dialog = (await reader.get("/ui/jobs/change", params={"kind": "cancel", "job": [ids[0], ids[1], ended]})).text
    assert "Cancel 3 selected jobs?" in dialog
    end = (await reader.post("/ui/jobs/cancel", data={"job": [ids[0], ids[1], ended]})).text
    assert "2 jobs cancelled" in end
    assert "1 was not: The job has ended (failed)" in end
    assert [await project.status(job_id) for job_id in ids] == ["cancelled", "cancelled", "pending"]
    dialog = (await reader.get("/ui/jobs/change", params={"kind": "rerun", "job": [ended]})).text
    assert "Rerun 1 selected job?" in dialog
    for _ in range(2):
        assert "1 job rerun" in (await reader.post("/ui/jobs/rerun", data=fields_of(dialog))).text
    again = (await reader.get("/ui/jobs/change", params={"kind": "rerun", "job": [ended]})).text
    assert "A rerun of this job is live." in (await reader.post("/ui/jobs/rerun", data=fields_of(again))).text
    assert len((await project.api.get("/v1/jobs", params={"original_job_id": ended})).json()["jobs"]) == 1


@pytest.mark.parametrize("kind", ["cancel", "rerun"])
async def test_a_change_wants_its_scope_and_its_token(project: OwnProject, kind: str) -> None:
    (job_id,) = await project.jobs()
    async with project.browser(["read"]) as only_reader:
        assert (await only_reader.get("/ui/jobs/change", params={"kind": kind})).status_code == 403
        assert (await only_reader.post(f"/ui/jobs/{kind}", data={"job": job_id})).status_code == 403
    async with project.browser() as reader:
        reader.headers["X-Jobtrack-Form"] = "0" * 32
        assert (await reader.post(f"/ui/jobs/{kind}", data={"job": job_id})).status_code == 403
        reader.headers["Origin"] = "https://elsewhere.example"
        reader.headers["Sec-Fetch-Site"] = "cross-site"
        assert (await reader.post(f"/ui/jobs/{kind}", data={"job": job_id})).status_code == 403
        assert (await reader.get(f"/ui/jobs/{kind}")).status_code in {404, 405}, "no GET changes anything"
    assert await project.status(job_id) == "pending"


async def test_a_key_of_some_queues_changes_only_theirs(project: OwnProject) -> None:
    (docs,) = await project.jobs(queue="docs")
    (other,) = await project.jobs(queue="other")
    async with project.browser(["read", "submit"], ["docs"]) as limited:
        page = (await limited.get("/ui/jobs")).text
        assert f'name="job" value="{docs}"' in page
        assert f'name="job" value="{other}"' not in page, "what it may not change it cannot select"
        refused = (await limited.post("/ui/jobs/cancel", data={"job": [other]})).text
        assert "0 jobs cancelled" in refused
        assert "The key may not use this queue." in refused
        dialog = await asked(limited, "cancel", "status:pending")
        assert "Cancel 1 job that matches?" in dialog
        await limited.post("/ui/jobs/cancel", data=fields_of(dialog))
        forbidden = await limited.get("/ui/jobs/change", params={"kind": "cancel", "filter": "queue:other"})
        assert forbidden.status_code == 403
        forged = await limited.post("/ui/jobs/cancel", data=fields_of(dialog) | {"filter": "queue:other"})
        assert forged.status_code in {403, 409}
        assert 'id="change-next"' in forged.text, "in the dialog, where one can go on"
    assert [await project.status(job_id) for job_id in (docs, other)] == ["cancelled", "pending"]


@pytest.mark.parametrize("filter_text", ["", "stauts:x", "01890a5d-ac96-774b-bcce-b302099a8057"])
async def test_what_names_no_conditions_is_refused(
    project: OwnProject, reader: httpx.AsyncClient, filter_text: str
) -> None:
    (job_id,) = await project.jobs()
    refused = await reader.get(
        "/ui/jobs/change", params={"kind": "cancel", "filter": filter_text}, headers={"HX-Request": "true"}
    )
    assert refused.status_code == 422
    assert refused.headers["hx-retarget"] == "#notes"
    dialog = await asked(reader, "cancel", "queue:nothing status:pending")
    for fields in ({}, {"filter": "queue:default"}, fields_of(dialog) | {"before": "x", "filter": "queue:default"}):
        assert (await reader.post("/ui/jobs/cancel", data=fields)).status_code in {415, 422}, fields
    assert await project.status(job_id) == "pending"
