"""Log lines of some levels, and of one attempt."""

import httpx

from tests.api.conftest import Claim, Create


async def test_log_lines_are_chosen_by_level_and_attempt(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create(retry={"delay_seconds": 0, "factor": 1, "max_delay_seconds": 0})
    path = f"/v1/jobs/{job['id']}"
    for attempt in (1, 2):
        token = (await claim(wait=5))["lease"]["token"]
        logs = [{"level": level, "message": f"{level} {attempt}"} for level in ("debug", "error", "info", "error")]
        await api.post(f"{path}/report", json={"token": token, "logs": logs})
        await api.post(f"{path}/fail", json={"token": token, "code": "x", "message": "y", "retryable": attempt == 1})

    async def messages(**params: object) -> tuple[list[str], int, bool]:
        answer = await api.get(f"{path}/logs", params=params)  # type: ignore[arg-type] # lists are repeated
        assert answer.status_code == 200, answer.text
        page = answer.json()
        return [line["message"] for line in page["logs"]], page["next_offset"], page["ended"]

    assert await messages(level="error") == (["error 1", "error 1", "error 2", "error 2"], 8, True)
    assert await messages(level=["debug", "info"], attempt=2) == (["debug 2", "info 2"], 8, True)
    assert await messages(attempt=1, limit=2) == (["debug 1", "error 1"], 2, False)
    assert await messages(attempt=1, offset=2) == (["info 1", "error 1"], 8, True)
    assert await messages(level="critical") == ([], 8, True)
    for wrong in ({"level": "loud"}, {"attempt": -1}):
        assert (await api.get(f"{path}/logs", params=wrong)).status_code == 422


async def test_followers_of_a_level_wait_for_a_line_of_it(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    path = f"/v1/jobs/{job['id']}"
    token = (await claim())["lease"]["token"]
    await api.post(f"{path}/report", json={"token": token, "logs": [{"level": "debug", "message": "quiet"}]})
    answer = await api.get(f"{path}/logs", params={"level": "error", "wait": 1})
    assert answer.headers["Jobtrack-Wait-Ended"] == "timeout"
    waited = answer.json()
    assert (waited["logs"], waited["next_offset"], waited["ended"]) == ([], 1, False)
    await api.post(f"{path}/report", json={"token": token, "logs": [{"level": "error", "message": "loud"}]})
    found = (await api.get(f"{path}/logs", params={"level": "error", "wait": 10, "offset": 1})).json()
    assert [line["message"] for line in found["logs"]] == ["loud"]
