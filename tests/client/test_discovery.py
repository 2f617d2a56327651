"""Clients and workers without arguments find the address and the key as the command line does."""

from pathlib import Path

import httpx
import pytest

from jobtrack_client import AsyncJobtrackClient, JobtrackClient, Unauthorized, Worker
from tests.client.played_service import Service
from tests.service_process import ServiceProcess

KEY = "the-key-of-the-service-on-this-machine"


@pytest.fixture(autouse=True)
def data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("JOBTRACK_DATA_DIR", str(tmp_path))
    (tmp_path / "api-key").write_text(f"{KEY}\n")
    (tmp_path / "api-key.url").write_text("http://127.0.0.1:8000\n")
    return tmp_path


def played(url: str | None = None, api_key: str | None = None) -> str | None:
    """The key that a client sends with these arguments."""
    transport = Service(lambda *_: httpx.Response(200, json={"jobs": [], "next_cursor": None}))
    with JobtrackClient(url, api_key, transport=transport) as client:
        client.list_jobs()
    sent: str | None = transport.requests[0].headers.get("Authorization")
    return sent


async def test_clients_without_arguments_reach_the_service_of_this_machine(
    service: ServiceProcess, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "api-key").write_text(service.api_key)
    (data_dir / "api-key.url").write_text(service.url)
    monkeypatch.setenv("JOBTRACK_PORT", service.url.rpartition(":")[2])
    with JobtrackClient() as client:
        assert client.url == service.url
        assert isinstance(client.list_jobs()["jobs"], list)
    async with AsyncJobtrackClient() as other:
        assert isinstance((await other.list_jobs())["jobs"], list)


def test_the_kept_key_goes_to_its_service_alone(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    assert played() == played("http://localhost:8000") == f"Bearer {KEY}"
    assert played("http://127.0.0.1:8001") is None
    assert played("https://127.0.0.1:8000") is None
    assert played(api_key="own") == "Bearer own"
    (data_dir / "mine").write_text("of-a-file\n")
    monkeypatch.setenv("JOBTRACK_API_KEY_FILE", str(data_dir / "mine"))
    assert played("http://elsewhere.test") == "Bearer of-a-file"
    monkeypatch.setenv("JOBTRACK_API_KEY", "set")
    monkeypatch.setenv("JOBTRACK_URL", "http://elsewhere.test")
    assert played() == "Bearer set"


async def test_a_missing_key_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    monkeypatch.setenv("JOBTRACK_URL", "http://127.0.0.1:8001")
    with pytest.raises(Unauthorized) as missing:
        await Worker(types={"work": print}).run()
    assert str(missing.value) == (
        "No key for http://127.0.0.1:8001: set JOBTRACK_API_KEY; "
        f"the one in {data_dir}/api-key is only for http://127.0.0.1:8000."
    )
    refusal = httpx.Response(401, json={"detail": "This needs a key"})
    with (
        JobtrackClient(transport=Service(lambda *_: refusal)) as client,
        pytest.raises(Unauthorized, match="set JOBTRACK_API_KEY"),
    ):
        client.list_jobs()
    monkeypatch.setenv("JOBTRACK_API_KEY_FILE", str(data_dir / "none"))
    with pytest.raises(Unauthorized, match="JOBTRACK_API_KEY_FILE"):
        JobtrackClient()


def test_a_folder_of_nobody_is_no_key_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBTRACK_DATA_DIR", "~nobody-there/x")
    assert played() is None
