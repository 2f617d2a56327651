"""A disk that is full, or nearly: what is refused, what goes on, and where it is said."""

import asyncio
import logging
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from app.core.space import Space
from app.db.opening import asyncpg_dsn
from app.domain.errors import NoSpaceError
from tests.inside_service import serve_inside

LEAST = 256 * 2**20
UPLOAD = b'{"agent_runs": [{"metadata": {"n": 1}}]}'


class Volume:
    """A volume whose free bytes the test chooses, and a clock that stands still."""

    def __init__(self, free: int = LEAST) -> None:
        self.free = free
        self.now = 0.0

    def space(self) -> Space:
        return Space(lambda: self.free, least_bytes=LEAST, clock=lambda: self.now)

    def becomes(self, free: int) -> None:
        self.free = free
        self.now += 1


async def refuse(database_url: str, table: str, sqlstate: str) -> None:
    """Have the database refuse each insert into a table as if for this reason."""
    connection = await asyncpg.connect(asyncpg_dsn(database_url))
    await connection.execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{sqlstate}'; END$$"
    )
    await connection.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")
    await connection.close()


async def chunks(database_url: str) -> int:
    """How many chunks of inputs are stored."""
    connection = await asyncpg.connect(asyncpg_dsn(database_url))
    count = await connection.fetchval("SELECT count(*) FROM input_chunks")
    await connection.close()
    return int(count)


async def creations(client: httpx.AsyncClient, failed_id: str, live_id: str) -> dict[str, httpx.Response]:
    """Every way to store something new."""
    job: dict[str, Any] = {"type": "t"}
    agents = f"/rest/{uuid.uuid4()}/agent_runs"
    return {
        "create": await client.post("/v1/jobs", json=job),
        "rerun": await client.post(f"/v1/jobs/{failed_id}/rerun"),
        "bulk rerun": await client.post("/v1/jobs/rerun", json={"type": ["t"]}),
        "input": await client.put(f"/v1/jobs/{live_id}/input", content=b"x"),
        "docent": await client.post(agents, content=UPLOAD),
        "captain": await client.post("/v2/collections/c/index/url", json={"url": "https://example.org/"}),
        "llamacloud": await client.post("/api/v1/beta/batch-processing", json={"job_config": {}, "directory_id": "d"}),
        "fifthelement": await client.post(f"/jobs/{failed_id}/rerun"),
    }


async def test_below_the_least_free_space_nothing_new_is_stored_and_workers_go_on(database_url: str) -> None:
    volume = Volume()
    async with serve_inside(database_url, space=volume.space()) as inside:
        client = inside.client
        failed, live = [(await client.post("/v1/jobs", json={"type": "t"})).json()["id"] for _ in range(2)]
        claimed = (await client.post("/v1/claims", json={"worker": "w", "job_ids": [failed]})).json()["jobs"]
        failure = {"token": claimed[0]["lease"]["token"], "code": "c", "message": "m", "retryable": False}
        assert (await client.post(f"/v1/jobs/{failed}/fail", json=failure)).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        volume.becomes(LEAST - 1)
        with capture_logs() as lines:
            answers = await creations(client, failed, live)
            assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 503)
            assert all("retry-after" in answer.headers for answer in answers.values())
            assert {answers[name].json()["code"] for name in ("create", "rerun", "bulk rerun", "input")} == {"no_space"}
            assert "255 MiB left" in answers["docent"].text
            batch = await client.post("/v1/jobs/batch", json={"jobs": [{"type": "t"}] * 3})
            assert batch.status_code == 200
            assert [row["problem"]["code"] for row in batch.json()["results"]] == ["no_space"] * 3
            ready = await client.get("/readyz")
            assert (ready.status_code, set(ready.json()["failures"])) == (503, {"no_space"})
        assert [line["event"] for line in lines if line["log_level"] == "error"] == ["no_space"]
        metrics = (await client.get("/metrics")).text
        assert float(metrics.partition("\njobtrack_data_free_bytes{")[2].split()[1]) == LEAST - 1
        (job,) = (await client.post("/v1/claims", json={"worker": "w", "job_ids": [live]})).json()["jobs"]
        done = {"token": job["lease"]["token"], "result": {"n": 1}}
        assert (await client.post(f"/v1/jobs/{live}/complete", json=done)).status_code == 200
        volume.becomes(LEAST)
        assert (await client.post("/v1/jobs", json={"type": "t"})).status_code == 201


async def test_upload_is_cut_when_the_space_goes(database_url: str) -> None:
    volume = Volume()
    async with serve_inside(database_url, space=volume.space()) as inside:
        job_id = (await inside.client.post("/v1/jobs", json={"type": "t"})).json()["id"]

        async def body() -> Any:
            yield bytes(2**20)
            # It has begun, so what refuses it is not what refuses one at its begin.
            async with asyncio.timeout(20):
                while not await chunks(database_url):
                    await asyncio.sleep(0.01)
            volume.becomes(0)
            yield bytes(2**20)

        answer = await inside.client.put(f"/v1/jobs/{job_id}/input", content=body())
        assert (answer.status_code, answer.json()["code"]) == (503, "no_space")
        assert not await chunks(database_url)


async def test_database_that_says_its_disk_is_full_is_believed(database_url: str) -> None:
    clock = Volume()
    async with serve_inside(database_url, space=Space(clock=lambda: clock.now)) as inside:
        await refuse(database_url, "jobs", "53100")
        with capture_logs() as lines:
            for _ in range(2):
                answer = await inside.client.post("/v1/jobs", json={"type": "t"})
                assert (answer.status_code, answer.json()["code"]) == (503, "no_space")
                assert int(answer.headers["retry-after"]) >= 30
            batch = await inside.client.post("/v1/jobs/batch", json={"jobs": [{"type": "t"}] * 3})
            assert [row["problem"]["code"] for row in batch.json()["results"]] == ["no_space"] * 3
            assert set((await inside.client.get("/readyz")).json()["failures"]) == {"no_space"}
            written = [line for line in lines if line["event"] == "no_space"]
            assert [(line["log_level"], line["cause"]) for line in written] == [("error", "could not extend file")]
            clock.now += 60
            await inside.client.post("/v1/jobs", json={"type": "t"})
            assert len([line for line in lines if line["event"] == "no_space"]) == 2
        assert "data_free_bytes" not in (await inside.client.get("/metrics")).text


@pytest.mark.parametrize(
    ("sqlstate", "status", "cause"), [("53200", 503, "OutOfMemoryError"), ("XX000", 500, "could not extend file")]
)
async def test_answer_of_500_and_above_has_one_line_with_its_cause(
    database_url: str, caplog: pytest.LogCaptureFixture, sqlstate: str, status: int, cause: str
) -> None:
    async with serve_inside(database_url) as inside:
        await refuse(database_url, "jobs", sqlstate)
        caplog.clear()
        answer = await inside.client.post("/v1/jobs", json={"type": "t"}, headers={"X-Request-ID": "mine"})
        assert answer.status_code == status
        lines = [record for record in caplog.records if record.name.startswith("app.web")]
        assert len(lines) == 1
        assert lines[0].levelno == (logging.ERROR if status == 500 else logging.WARNING)
        assert cause in lines[0].getMessage() + str(lines[0].exc_info)


def test_volume_that_cannot_be_read_refuses_nothing() -> None:
    def broken() -> int:
        raise OSError

    space = Space(broken, least_bytes=1)
    space.check()
    assert space.failures() == {}
    with pytest.raises(NoSpaceError):
        Space(lambda: 0, least_bytes=1).check()
