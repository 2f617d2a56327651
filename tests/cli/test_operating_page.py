"""The operator's page names commands, options, settings and gauges that there are."""

import re
import shlex
from pathlib import Path

import httpx
import pytest

from app.cli.setting_names import unknown_names
from tests.cli.in_process import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
LINES = sorted(
    {
        *re.findall(r"^(?:docker compose exec jobtrack )?jobtrack ([^#\n]+)", PAGE, re.MULTILINE),
        *re.findall(r"`jobtrack ([^`]+)`", PAGE),
    }
)


@pytest.mark.parametrize("line", LINES)
def test_command_of_the_page_is_one_with_its_options(line: str) -> None:
    words = shlex.split(line)
    path = max((path for path in COMMANDS if tuple(words[: len(path)]) == path), key=len)
    known = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_settings_of_the_page_are_settings() -> None:
    names = re.findall(r"JOBTRACK_[A-Z_]+[A-Z]", PAGE)
    assert names
    assert unknown_names(dict.fromkeys(names, "")) == []


async def test_gauges_of_the_page_are_shown(api: httpx.AsyncClient) -> None:
    shown = (await api.get("/metrics")).text
    # That of the disk is the embedded database's alone.
    names = set(re.findall(r"`(jobtrack_[a-z_]+)`", PAGE)) - {"jobtrack_data_free_bytes"}
    assert names
    assert [name for name in sorted(names) if name not in shown] == []
