"""Every parameter of every command with everything that people, scripts and attackers put there.

Whatever it is, the answer is one sentence and a documented exit code: never a traceback, a line that a terminal would
act on, or a key.
"""

import os
from pathlib import Path

import pytest

from app.cli.exits import Exit
from tests.cli.commands import UNKNOWN, reach
from tests.cli.in_process import COMMANDS, PARAMETERS, Command, Ended, Parameter, command
from tests.service_process import ServiceProcess

__all__ = ["command"]

NOWHERE = "http://127.0.0.1:1"
KEY = "jt_secret-key-that-no-message-may-hold"
# What each command needs besides the parameter that is attacked. Nothing here changes anything in a service.
NEEDED: dict[tuple[str, ...], dict[str, list[str]]] = {
    ("openapi",): {"folder": ["/dev/null/nowhere"]},
    ("demo",): {"path": ["/dev/null/nowhere"]},
    ("jobs", "submit"): {"kind": ["x"], "priority": ["--priority", "99999"]},
    ("jobs", "cancel"): {"queue": ["--queue", "hostile"], "dry_run": ["--dry-run"]},
    ("jobs", "rerun"): {"queue": ["--queue", "hostile"], "dry_run": ["--dry-run"]},
    **{("jobs", name): {"job_id": [UNKNOWN]} for name in ("get", "files", "events", "logs", "watch")},
    **{("jobs", name): {"job_ids": [UNKNOWN]} for name in ("wait", "delete")},
    **{("queues", name): {"name": ["hostile"]} for name in ("show", "pause", "resume")},
    ("queues", "set"): {"name": ["hostile"], "concurrency_limit": ["--concurrency-limit", "-1"]},
    ("keys", "create"): {"name": ["x"], "scope": ["--scope", "read"], "expires_at": ["--expires-at", "never"]},
    ("keys", "revoke"): {"key_id": [UNKNOWN]},
}
NO_UTF8 = os.fsdecode(b"caf\xe9")
TEXTS = (
    "", " ", ".", "..", "a/b?x=1#y", NO_UTF8, "\x1b[31m\n\u202e", "x" * 100_000, "-1", "nan", "9" * 5000, "=",
    "[" * 100_000, "@/", "inf", "1e400", "9" * 30, "\ud800", "%00", "~nobody-there/x",
)  # fmt: skip
PAYLOADS = (
    "{", "NaN", "[1e999]", '"\\ud800"', '"\\u0000"', "9" * 5000 + ".0", "@", "@/nonexistent", f"@/{'x' * 5000}",
    "@/dev/zero", f"@{NO_UTF8}",
)  # fmt: skip
URLS = (
    NOWHERE, "http://", "http://[", "http://:80", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://127.0.0.1:abc",
    "x", "127.0.0.1:8000", "http://a b", f"http://{NO_UTF8}", "http://a\nb", f"http://{'a' * 70}.example", "http://xn--",
    "http://.",
    f"http://me:{KEY}@127.0.0.1:1", f"{NOWHERE}/{'x' * 100_000}", "file:///etc/passwd", "\u2488",
)  # fmt: skip
ALLOWED = {Exit.USAGE, Exit.START_UP, Exit.NOT_FOUND, Exit.UNAUTHORIZED, Exit.UNREACHABLE, Exit.REFUSED}


def arguments(parameter: Parameter, value: str) -> list[str]:
    """The command with what it needs, and the value as the given parameter; an argument after `--`."""
    kept = [
        word for name, words in NEEDED.get(parameter.command, {}).items() if name != parameter.name for word in words
    ]
    if parameter.option is not None:
        return [*parameter.command, *kept, f"{parameter.option}={value}"]
    if parameter.name in ("job_ids", "job_id") and parameter.command[-1] in ("cancel", "rerun"):
        kept = []
    options = [word for word in kept if word != UNKNOWN]
    return [*parameter.command, *options, "--", value]


def faults(ended: Ended) -> str | None:
    """What is wrong with the end of a command that has been refused; None if it is one sentence."""
    if ended.code not in ALLOWED:
        return f"exit code {ended.code}"
    lines = ended.err.splitlines()
    if len(lines) != 1 or not lines[0].startswith("jobtrack: ") or not lines[0].isprintable():
        return "not one sentence"
    if len(lines[0]) > 2100 or lines[0][-1] not in ".?'":
        return "a long sentence, or half of one"
    if KEY in ended.err + ended.out or ended.out:
        return "more than a sentence"
    return None


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_parameter_refuses_in_one_sentence(
    service: ServiceProcess,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    if path in {("serve",), ("migrate",)}:
        # They would start; their addresses are in the next test.
        environment = {"JOBTRACK_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x"}
    elif path == ("demo",):
        # It would run, and an address that cannot be reached is tried twice.
        environment = {"JOBTRACK_URL": "nowhere", "JOBTRACK_API_KEY": KEY}
    else:
        environment = reach(service)
    wrong = []
    for parameter in PARAMETERS:
        # An address is the same parameter of all commands, and has a test of its own.
        for value in TEXTS if parameter.command == path and parameter.name != "url" else ():
            ended = command(*arguments(parameter, value), environment=environment)
            # It may be right, after all: a name or a filter may be any text.
            if ended.code != 0 and (fault := faults(ended)):
                wrong.append(
                    f"{parameter.name}={value[:40]!a}: {fault}: {ended.code} {ended.err[-200:]} {ended.out[:60]}"
                )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: ascii(text[:20]))
def test_payload_that_is_no_json_is_usage(service: ServiceProcess, command: Command, payload: str) -> None:
    """From the command line, from a file, and, where it is text at all, from standard input."""
    ended = command("jobs", "submit", "x", "--payload", payload, environment=reach(service))
    assert (ended.code, faults(ended)) == (Exit.USAGE, None), ended
    if not payload.startswith("@"):
        piped = command("jobs", "submit", "x", "--payload", "-", stdin=payload.encode(), environment=reach(service))
        assert (piped.code, faults(piped)) == (Exit.USAGE, None), piped


def test_bytes_of_a_file_are_no_traceback(service: ServiceProcess, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "payload"
    for content in (b"", b"\xff\xfe", b'{"a": "\xe9"}', b'"\x00"', b"\x00" * 1000, b"x" * 20_000_000):
        file.write_bytes(content)
        for arguments in (("--payload", f"@{file}"), ("--payload", "-")):
            ended = command("jobs", "submit", "x", *arguments, stdin=content, environment=reach(service))
            assert (ended.code, faults(ended)) == (Exit.USAGE, None), (content[:10], ended)
    file.write_bytes(b"\xef\xbb\xbf{}")
    assert command("jobs", "submit", "x", "--payload", f"@{file}", environment=reach(service)).code == 0


@pytest.mark.parametrize("url", URLS, ids=lambda text: ascii(text[:24]))
def test_address_that_is_none_is_one_sentence(command: Command, url: str) -> None:
    environment = {"JOBTRACK_API_KEY": KEY}
    ended = command("jobs", "watch", "--url", url, environment=environment)
    assert ended.code in (Exit.USAGE, Exit.UNREACHABLE), ended
    assert faults(ended) is None
    assert command("jobs", "watch", environment={**environment, "JOBTRACK_URL": url}) == ended


@pytest.mark.parametrize(
    "environment",
    [
        {"JOBTRACK_API_KEY": NO_UTF8},
        {"JOBTRACK_API_KEY": f"{KEY}\n{KEY}"},
        {"JOBTRACK_API_KEY_FILE": "/"},
        {"JOBTRACK_API_KEY_FILE": NO_UTF8},
        {"JOBTRACK_DATA_DIR": "~nobody-there/x"},
        {"JOBTRACK_DATA_DIR": "x" * 5000},
        {"JOBTRACK_DATA_DIR": NO_UTF8},
        {"JOBTRACK_PORT": "abc", "JOBTRACK_API_KEY": KEY},
    ],
    ids=str,
)
def test_environment_that_is_wrong_is_one_sentence(command: Command, environment: dict[str, str]) -> None:
    for arguments in (["jobs", "list"], ["keys", "list"]):
        ended = command(*arguments, environment=environment)
        assert faults(ended) is None, ended


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["jobs", "list", "--status", "faild"], "failed"),
        (["jobs", "cancel", "--status", "runing"], "running"),
        (["jobs", "rerun", "--status", "Failed"], "failed"),
        (["jobs", "files", UNKNOWN, "--status", "complete"], "completed"),
        (["keys", "create", "x", "--scope", "oprator"], "operator"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_typo_in_a_choice_is_answered_with_the_word_that_was_meant(
    command: Command, arguments: list[str], meant: str
) -> None:
    ended = command(*arguments, environment={"JOBTRACK_URL": NOWHERE, "JOBTRACK_API_KEY": KEY})
    assert (ended.code, faults(ended)) == (Exit.USAGE, None), ended
    assert f"did you mean {meant}?" in ended.err


def test_fault_that_the_service_finds_is_usage_and_named(service: ServiceProcess, command: Command) -> None:
    ended = command("jobs", "submit", "x", "--priority", "99999", environment=reach(service))
    assert ended == (2, "", "jobtrack: /priority: Input should be less than or equal to 32767.\n")
