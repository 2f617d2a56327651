"""The commands of a client: what they print, and how they end when something is wrong."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.commands import UNKNOWN, reach, run
from tests.service_process import ROOT, ServiceProcess


async def finished(api: Any, *, ok: bool = True) -> dict[str, Any]:
    """A job that has ended."""
    body = {"type": "cli", "engine": "test", "claim": {"worker": "me"}, "max_attempts": 1}
    made = (await api.post("/v1/jobs", json=body)).json()
    token = made["lease"]["token"]
    end, said = ("complete", {"result": 42}) if ok else ("fail", {"code": "broken", "message": "It broke"})
    answer = await api.post(f"/v1/jobs/{made['id']}/{end}", json={"token": token, **said})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_help_imports_nothing_of_the_server() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['jobtrack', '--help']\n"
        "from app.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'fastapi', 'sqlalchemy', 'pydantic', 'uvicorn', 'asyncpg', 'alembic', 'structlog', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "serve" in done.stdout


async def test_a_wrong_address_is_one_sentence_and_6() -> None:
    for command in (["jobs", "get", UNKNOWN], ["jobs", "wait", UNKNOWN], ["health"], ["demo", "."]):
        done = await run(*command, JOBTRACK_URL="http://127.0.0.1:1", JOBTRACK_API_KEY="x")
        assert (done.returncode, done.stdout) == (6, ""), done.stderr
        assert done.stderr.startswith("jobtrack: Cannot reach Jobtrack at http://127.0.0.1:1: ")
        assert done.stderr.count("\n") == 1


async def test_a_wrong_key_and_none_are_5(service: ServiceProcess) -> None:
    wrong = await run("jobs", "get", UNKNOWN, JOBTRACK_URL=service.url, JOBTRACK_API_KEY="wrong")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (5, "", 1)
    assert "JOBTRACK_API_KEY" in wrong.stderr
    none = await run("jobs", "get", UNKNOWN, JOBTRACK_URL=service.url)
    assert none.returncode == 5
    assert none.stderr == (
        f"jobtrack: No key for {service.url}: set JOBTRACK_API_KEY; /nonexistent/api-key cannot be read.\n"
    )


async def test_an_unknown_id_is_4(service: ServiceProcess) -> None:
    for command in (["get"], ["wait"], ["wait", "--json"]):
        for job_id in (UNKNOWN, "nonsense/..?"):
            done = await run("jobs", *command, job_id, **reach(service))
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), done.stderr


async def test_a_wrong_word_is_2() -> None:
    assert (await run("jobs", "fetch")).returncode == 2
    assert (await run("serve", "--port", "70000")).returncode == 2
    assert (await run("jobs", "wait", *["x"] * 101, JOBTRACK_API_KEY="x")).returncode == 2


async def test_bytes_of_an_argument_that_are_no_text_are_2() -> None:
    # Python passes them on as they are.
    word = os.fsdecode(b"caf\xe9\x1b[31m")
    done = await run("jobs", "get", word, JOBTRACK_URL="http://127.0.0.1:1", JOBTRACK_API_KEY="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jobtrack: 'caf\\udce9\\x1b[31m' is not text in UTF-8.\n"


async def test_the_key_is_found_in_the_data_directory(service: ServiceProcess, api: Any, tmp_path: Path) -> None:
    job = await finished(api)
    (tmp_path / "api-key").write_text(f"{service.api_key}\n")
    (tmp_path / "api-key.url").write_text(f"{service.url}\n")
    for url in (service.url, f"http://localhost:{service.port}/"):
        done = await run("jobs", "get", job["id"], JOBTRACK_URL=url, JOBTRACK_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert f"id:         {job['id']}" in done.stdout
        assert "status:     completed" in done.stdout


async def test_a_job_is_printed_as_the_service_gives_it(service: ServiceProcess, api: Any) -> None:
    job = await finished(api)
    done = await run("jobs", "get", job["id"], "--json", **reach(service))
    assert json.loads(done.stdout) == (await api.get(f"/v1/jobs/{job['id']}")).json()


async def test_waiting_ends_as_the_jobs_did(service: ServiceProcess, api: Any) -> None:
    good, bad = await finished(api), await finished(api, ok=False)
    assert (await run("jobs", "wait", good["id"], **reach(service))).returncode == 0
    both = await run("jobs", "wait", good["id"], bad["id"], **reach(service))
    assert both.returncode == 1
    assert f"{bad['id']} failed: broken: It broke" in both.stdout
    as_json = await run("jobs", "wait", good["id"], "--json", **reach(service))
    assert [job["id"] for job in json.loads(as_json.stdout)["jobs"]] == [good["id"]]
    assert as_json.stderr == ""


async def test_waiting_sees_the_end_and_may_give_up(service: ServiceProcess, api: Any) -> None:
    job = (await api.post("/v1/jobs", json={"type": "cli-waits"})).json()
    late = await run("jobs", "wait", job["id"], "--timeout", "0.5", **reach(service))
    assert late.returncode == 8, late.stderr
    waiting = asyncio.create_task(run("jobs", "wait", job["id"], **reach(service)))
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    done = await waiting
    assert (done.returncode, done.stdout) == (1, f"{job['id']} cancelled\n")


async def test_health_needs_no_key(service: ServiceProcess) -> None:
    done = await run("health", JOBTRACK_PORT=str(service.port))
    assert (done.returncode, done.stdout) == (0, f"Jobtrack at {service.url} is ready.\n")
    assert json.loads((await run("health", "--json", JOBTRACK_URL=service.url)).stdout)


async def test_the_documents_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        done = await run("openapi", str(tmp_path / folder))
        assert done.returncode == 0, done.stderr
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert one == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert "native.json" in one


async def test_a_bad_setting_is_3_before_anything_starts(tmp_path: Path) -> None:
    done = await run("serve", JOBTRACK_BOOTSTRAP_KEY="short", JOBTRACK_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 3
    assert done.stderr.startswith("jobtrack: JOBTRACK_BOOTSTRAP_KEY is wrong: a key has 32 to 255 visible")
    assert not (tmp_path / "data").exists()


async def test_a_database_that_cannot_be_used_is_3(create_database: Any) -> None:
    nowhere = "postgresql://jobtrack:s3cret@127.0.0.1:1/jobtrack"
    for command in (["serve", "--port", "0"], ["migrate"]):
        done = await run(*command, JOBTRACK_DATABASE_URL=nowhere)
        assert (done.returncode, done.stdout) == (3, "")
        assert "The database that JOBTRACK_DATABASE_URL names cannot be used: " in done.stderr
        assert "s3cret" not in done.stderr
        assert "Traceback" not in done.stderr
    empty = await create_database(migrated=False)
    refused = await run("serve", "--port", "0", JOBTRACK_DATABASE_URL=empty)
    assert refused.returncode == 3
    assert "run `jobtrack migrate` first" in refused.stderr
    first = await run("migrate", "--json", JOBTRACK_DATABASE_URL=empty)
    second = await run("migrate", "--json", JOBTRACK_DATABASE_URL=empty)
    assert [json.loads(one.stdout)["migrated"] for one in (first, second)] == [True, False]
