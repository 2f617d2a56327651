"""`fh-immuta-utils`, the client of Immuta's users: the log-in that it makes by itself, statuses, and a wait."""

import json
import time

import native
from fh_immuta_utils.client import ImmutaClient
from fh_immuta_utils.exceptions import InvalidTokenError
from requests import HTTPError

client = ImmutaClient(base_url=native.CLIENT_URL, apiKey=native.API_KEY)


def statuses(job_ids: list[str], **fields: object) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = client.post("jobs/statuses", {"jobIds": job_ids, **fields}).json()
    return found


waiting, done, failed = (native.create() for _ in range(3))
native.finish(done, result={"rows": 3})
native.fail(failed, "no such table")
found = statuses([waiting, done, failed, "cefb58a0-cd71-11ec-8e29-81c20d280994"])
assert {job_id: entry["state"] for job_id, entry in found.items()} == {
    waiting: "created",
    done: "completed",
    failed: "failed",
}, found
assert all(entry["id"] == job_id for job_id, entry in found.items()), found
assert json.loads(str(found[done]["output"])) == {"rows": 3}, found
assert found[waiting]["output"] is None, found

token = native.claim(waiting)
assert statuses([waiting])[waiting]["state"] == "active"
started = time.monotonic()
assert statuses([waiting], wait=1, pollInterval=1)[waiting]["state"] == "active"
assert time.monotonic() - started >= 1
worker = native.Worker(lambda: native.say(waiting, "complete", token, result="all good"))
ended = statuses([waiting, done], wait=-1)
worker.done()
assert {entry["state"] for entry in ended.values()} == {"completed"}, ended
assert ended[waiting]["output"] == "all good", ended

try:
    statuses("no list")  # type: ignore[arg-type]
except HTTPError as error:
    assert error.response.status_code == 422
    assert error.response.json()["validation"][0]["code"], error.response.text
else:
    raise AssertionError("a bad payload was taken")
try:
    ImmutaClient(base_url=native.CLIENT_URL, apiKey="wrong").post("jobs/statuses", {})
except InvalidTokenError:
    pass
else:
    raise AssertionError("a wrong key logged in")
