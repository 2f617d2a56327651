"""What one process is told, the other knows: two services on one database, with the links between them cut."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest

from tests.races.calls import LISTENING, claim, create, cut, post, wait_for
from tests.races.conftest import Pair


@pytest.fixture
def queue() -> str:
    """A queue of the test's own."""
    return f"test-{uuid4()}"


async def test_created_here_claimed_there_waited_for_here_and_answered_when_completed_there(
    pair: Pair, queue: str
) -> None:
    job_id = await create(pair.first, queue)
    (claimed,) = await claim(pair.second, queue)
    assert claimed["id"] == job_id
    waiting = asyncio.create_task(wait_for(pair.first, job_id, include=["result"]))
    token = claimed["lease"]["token"]
    await post(pair.second, f"/v1/jobs/{job_id}/report", token=token, stage="chunking")
    assert not waiting.done()

    began = time.monotonic()
    await post(pair.second, f"/v1/jobs/{job_id}/complete", token=token, result={"answer": 42})
    (ended,) = await waiting

    assert time.monotonic() - began < 2
    assert (ended["status"], ended["result"], ended["stage"]) == ("completed", {"answer": 42}, "chunking")


async def test_an_idle_worker_of_one_process_gets_the_job_made_in_the_other(pair: Pair, queue: str) -> None:
    claiming = asyncio.create_task(claim(pair.second, queue, wait=20))
    await asyncio.sleep(0)
    began = time.monotonic()
    job_id = await create(pair.first, queue)
    (claimed,) = await claiming
    assert claimed["id"] == job_id
    assert time.monotonic() - began < 3


async def test_a_cancel_in_one_process_reaches_the_worker_of_the_other(pair: Pair, queue: str) -> None:
    job_id = await create(pair.first, queue)
    (claimed,) = await claim(pair.second, queue)
    waiting = asyncio.create_task(wait_for(pair.first, job_id))

    answer = await pair.first.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    token = claimed["lease"]["token"]
    told = await post(pair.second, f"/v1/jobs/{job_id}/report", token=token)
    assert told["cancel_requested"] is True
    await post(pair.second, f"/v1/jobs/{job_id}/release", token=token)

    (ended,) = await waiting
    assert ended["status"] == "cancelled"


async def test_a_wait_is_answered_within_two_seconds_though_the_listening_connections_were_killed(
    pair: Pair, queue: str
) -> None:
    job_id = await create(pair.first, queue)
    (claimed,) = await claim(pair.second, queue)
    waiting = asyncio.create_task(wait_for(pair.first, job_id))
    await post(pair.first, "/v1/jobs/wait", ids=[job_id], wait=0)

    assert await cut(pair, LISTENING) == 2
    began = time.monotonic()
    await post(pair.second, f"/v1/jobs/{job_id}/complete", token=claimed["lease"]["token"])
    (ended,) = await waiting

    assert time.monotonic() - began < 2
    assert ended["status"] == "completed"


async def test_nothing_is_lost_when_every_connection_is_killed_again_and_again(pair: Pair, queue: str) -> None:
    ids = [await create(pair.first, queue) for _ in range(8)]
    claimed = await claim(pair.second, queue, max=8)
    waiting = asyncio.create_task(wait_for(pair.first, *ids))

    for one in claimed:
        await cut(pair, "application_name = 'jobtrack'")
        path = f"/v1/jobs/{one['id']}/complete"
        async with asyncio.timeout(20):
            # A COMMIT that was not confirmed may have happened: the same call again gets the recorded answer.
            while (answer := await pair.second.post(path, json={"token": one["lease"]["token"]})).status_code == 503:
                assert answer.headers["Retry-After"]
        assert answer.status_code == 200, answer.text

    ended = await waiting
    assert [one["status"] for one in ended] == ["completed"] * 8


async def test_job_of_a_dead_worker_is_offered_again_when_its_lease_ran_out(pair: Pair, queue: str) -> None:
    job_id = await create(pair.first, queue)
    (dead,) = await claim(pair.first, queue, lease_seconds=1)
    began = time.monotonic()

    (again,) = await claim(pair.second, queue, wait=20)

    assert 0.9 < time.monotonic() - began < 5, "the lease and a second, with room for a slow machine"
    assert (again["id"], again["attempt"]) == (job_id, 2)
    late = await pair.first.post(f"/v1/jobs/{job_id}/complete", json={"token": dead["lease"]["token"]})
    assert (late.status_code, late.json()["code"]) == (409, "lease_lost")


async def test_two_workers_at_two_processes_never_hold_the_same_job(pair: Pair, queue: str) -> None:
    ids = set(await asyncio.gather(*(create(pair.first, queue) for _ in range(150))))

    async def work(client: httpx.AsyncClient) -> list[str]:
        taken: list[str] = []
        while claimed := await claim(client, queue, max=7):
            taken += [one["id"] for one in claimed]
            reports = [{"job_id": one["id"], "action": "complete", "token": one["lease"]["token"]} for one in claimed]
            done = await post(client, "/v1/reports", reports=reports)
            assert all("problem" not in one or one["problem"] is None for one in done["results"]), done
        return taken

    taken = await asyncio.gather(*(work(client) for client in (pair.first, pair.second) for _ in range(3)))

    together = [job_id for mine in taken for job_id in mine]
    assert len(together) == len(set(together))
    assert set(together) == ids


async def test_the_same_idempotency_key_at_both_processes_makes_one_job(pair: Pair, queue: str) -> None:
    headers = {"Idempotency-Key": queue}
    body = {"type": "work", "queue": queue}
    answers = await asyncio.gather(
        *(client.post("/v1/jobs", json=body, headers=headers) for client in (pair.first, pair.second) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_of_complete_and_cancel_at_once_one_wins_and_both_hear_which(pair: Pair, queue: str) -> None:
    for _ in range(10):
        job_id = await create(pair.first, queue)
        (claimed,) = await claim(pair.second, queue)
        cancelled, completed = await asyncio.gather(
            pair.first.post(f"/v1/jobs/{job_id}/cancel"),
            pair.second.post(f"/v1/jobs/{job_id}/complete", json={"token": claimed["lease"]["token"]}),
        )
        assert completed.status_code == 200, completed.text
        end = (await pair.first.get(f"/v1/jobs/{job_id}")).json()
        assert completed.json()["status"] == end["status"]
        assert cancelled.status_code == (202 if end["status"] == "cancelled" else 409), cancelled.text
        assert end["status"] in {"completed", "cancelled"}
