"""Whose word is taken for where a request comes from."""

import json
from typing import Any

import pytest

from app.core.guesses import WRONG_KEYS_ALLOWED
from app.secret_files import SettingsError
from app.settings import load
from tests.conftest import StartService
from tests.service_process import ServiceProcess

MORE = WRONG_KEYS_ALLOWED + 5


async def guesses(service: ServiceProcess) -> list[int]:
    """Send wrong keys, each as if for another client; returns the statuses."""
    async with service.client() as client:
        headers = [{"Authorization": f"Bearer wrong-{n}", "X-Forwarded-For": f"192.0.2.{n}"} for n in range(MORE)]
        return [(await client.get("/v1/jobs", headers=sent)).status_code for sent in headers]


def refused_addresses(service: ServiceProcess) -> set[str]:
    assert service.stop() == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in service.log.read_text().splitlines() if line[:1] == "{"]
    return {line["address"] for line in lines if line.get("message") == "keys refused"}


@pytest.mark.parametrize("proxies", [None, "192.0.2.0/24, 2001:db8::1"])
async def test_nobody_but_a_trusted_proxy_says_where_a_request_comes_from(
    start_service: StartService, proxies: str | None
) -> None:
    named = {} if proxies is None else {"JOBTRACK_TRUSTED_PROXIES": proxies}
    # What uvicorn itself would read is no setting of ours.
    service = await start_service(FORWARDED_ALLOW_IPS="*", **named)
    statuses = await guesses(service)
    assert statuses == [401] * WRONG_KEYS_ALLOWED + [429] * (MORE - WRONG_KEYS_ALLOWED)
    assert refused_addresses(service) == {"127.0.0.1"}


async def test_trusted_proxy_is_believed(start_service: StartService) -> None:
    service = await start_service(JOBTRACK_TRUSTED_PROXIES="10.0.0.5, 127.0.0.0/8", JOBTRACK_WORKERS="2")
    assert await guesses(service) == [401] * MORE
    assert refused_addresses(service) == {f"192.0.2.{n}" for n in range(MORE)}


@pytest.mark.parametrize("text", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.1,", "10.0.0.0/33"])
def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("JOBTRACK_TRUSTED_PROXIES", text)
    with pytest.raises(SettingsError, match=r"JOBTRACK_TRUSTED_PROXIES is wrong: .* neither an address nor a network"):
        load()
