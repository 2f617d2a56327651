"""The key in the data directory: sent to the service that has written it, and to nobody else."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from app.cli import app, keys
from app.cli.serve import _own_address
from app.cli.target import api_key
from jobtrack_client import JobtrackClient, JobtrackError, Unavailable
from tests.cli.commands import UNKNOWN

KEY = "the-key-of-the-service-on-this-machine"
SERVICE = "http://127.0.0.1:8000"
# Every command that talks to a service with a key, with as few words as it takes.
COMMANDS = [
    *("demo", "jobs list", "jobs watch", "queues list", "keys list", "keys create x --scope read", "keys revoke x"),
    *(
        f"jobs {verb} {UNKNOWN}"
        for verb in ("get", "wait", "why", "files", "events", "logs", "cancel", "rerun", "delete")
    ),
    *(f"queues {verb} x" for verb in ("show", "pause", "resume", "delete")),
    *("workers list", "jobs submit x", "queues set x --concurrency-limit 1", "open"),
]


class Listener:
    """Somebody else's server: notes the key of every request, then refuses it, or sends the caller on to `redirect`."""

    def __init__(self, redirect: str | None = None) -> None:
        noted: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                noted.append(self.headers.get("Authorization"))
                self.send_response(307 if redirect else 401)
                self.send_header("Location", f"{redirect}{self.path}")
                self.send_header("Content-Length", "2")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  the server looks for these names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.keys = noted
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def __call__(self) -> Iterator["Listener"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@pytest.fixture(autouse=True)
def data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a service on port 8000 leaves."""
    for name in ("PORT", "JOBTRACK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JOBTRACK_DATA_DIR", str(tmp_path))
    (tmp_path / "api-key").write_text(f"{KEY}\n")
    (tmp_path / "api-key.url").write_text(f"{SERVICE}\n")
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], url: str) -> str:
    with pytest.raises(typer.Exit) as ended:
        api_key(url)
    assert ended.value.exit_code == 5
    said = capsys.readouterr().err
    assert KEY not in said
    return said


def commands_with_a_key(command: Any, *path: str) -> Iterator[str]:
    for name, child in getattr(command, "commands", {}).items():
        yield from commands_with_a_key(child, *path, name)
    if any(option.name == "url" for option in command.params) and path != ("health",):
        yield " ".join(path)


def test_the_commands_below_are_all_that_there_are() -> None:
    there_are = set(commands_with_a_key(typer.main.get_command(app)))
    assert {next(known for known in there_are if command.startswith(known)) for command in COMMANDS} == there_are


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_sends_the_local_key_to_another_address(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    with Listener()() as stranger:
        by_option = CliRunner().invoke(app, [*command.split(), "--url", stranger.url])
        monkeypatch.setenv("JOBTRACK_URL", stranger.url)
        by_variable = CliRunner().invoke(app, command.split())
    for done in (by_option, by_variable):
        assert (done.exit_code, done.stdout) == (5, ""), done.output
        assert done.stderr.startswith(f"jobtrack: No key for {stranger.url}: set JOBTRACK_API_KEY; ")
        assert KEY not in done.output
    assert stranger.keys == []


def test_worker_sends_the_local_key_to_no_other_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handlers_of_mine.py").write_text("handlers = {'x': print}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with Listener()() as stranger:
        done = CliRunner().invoke(app, ["worker", "handlers_of_mine:handlers", "--url", stranger.url])
    assert (done.exit_code, done.stdout) == (5, ""), done.output
    assert done.stderr.startswith(f"jobtrack: No key for {stranger.url}: set JOBTRACK_API_KEY; ")
    assert stranger.keys == []


@pytest.mark.parametrize(
    "url",
    [
        SERVICE,
        "http://localhost:8000",
        "http://[::1]:8000",
        "http://LocalHost:8000/",
        "HTTP://127.0.0.1:8000/some/path?and=more#yet",
        " http://127.0.0.1:8000",
    ],
)
@pytest.mark.parametrize("noted", [SERVICE, "http://[::1]:8000", "http://localhost:8000"])
def test_all_names_of_this_machine_are_one(data_dir: Path, url: str, noted: str) -> None:
    (data_dir / "api-key.url").write_text(noted)
    assert api_key(url) == KEY


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("https://127.0.0.1:8000", "https://127.0.0.1:8000"),
        ("http://127.0.0.2:8000", "http://127.0.0.2:8000"),
        ("http://0.0.0.0:8000", "http://0.0.0.0:8000"),
        ("http://127.0.0.1.evil.example:8000", "http://127.0.0.1.evil.example:8000"),
        ("http://localhost.:8000", "http://localhost.:8000"),
        ("http://127.0.0.1:8000@evil.example", "http://***@evil.example"),
        ("http://127.0.0.1:8000\\@evil.example:8000", "http://***@evil.example:8000"),
        ("http://evil.example#@127.0.0.1:8000", "http://evil.example"),
        ("http://evil.example:8000?@127.0.0.1:8000", "http://evil.example:8000"),
        ("http://me:s3cret@127.0.0.1:8000", "http://***@127.0.0.1:8000"),
    ],
)
def test_what_only_looks_like_the_service_gets_no_key(
    capsys: pytest.CaptureFixture[str], data_dir: Path, url: str, shown: str
) -> None:
    assert refusal(capsys, url) == (
        f"jobtrack: No key for {shown}: set JOBTRACK_API_KEY; the one in {data_dir}/api-key is only for {SERVICE}.\n"
    )


def test_what_is_no_address_keeps_its_sentence(data_dir: Path) -> None:
    del data_dir
    for url in ("127.0.0.1:8000", "http://", "http://127.0.0.1:8000.evil", "postgresql://me:s3cret@127.0.0.1:8000"):
        done = CliRunner().invoke(app, ["jobs", "list", "--url", url])
        assert (done.exit_code, done.stdout) == (6, "")
        assert "is not an address of Jobtrack" in done.stderr
        assert "s3cret" not in done.stderr


def test_a_directory_of_an_older_version_keeps_its_key_until_the_next_start(
    capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    (data_dir / "api-key.url").unlink()
    said = refusal(capsys, SERVICE)
    assert said.startswith(f"jobtrack: No key for {SERVICE}: set JOBTRACK_API_KEY; ")
    assert f"{data_dir}/api-key.url, which a service writes when it starts" in said


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"nonsense", b"http://"])
def test_an_address_that_cannot_be_read_is_nobodys(
    capsys: pytest.CaptureFixture[str], data_dir: Path, content: bytes
) -> None:
    (data_dir / "api-key.url").write_bytes(content)
    refusal(capsys, SERVICE)


def test_the_users_own_key_goes_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Listener()() as stranger:
        monkeypatch.setenv("JOBTRACK_API_KEY", "given")
        CliRunner().invoke(app, ["jobs", "list", "--url", stranger.url])
        monkeypatch.delenv("JOBTRACK_API_KEY")
        (tmp_path / "given").write_text("from-a-file\n")
        monkeypatch.setenv("JOBTRACK_API_KEY_FILE", str(tmp_path / "given"))
        CliRunner().invoke(app, ["jobs", "list", "--url", stranger.url])
    assert stranger.keys == ["Bearer given", "Bearer from-a-file"]


def test_a_key_in_place_of_its_file_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBTRACK_API_KEY_FILE", "the-key-itself")
    done = CliRunner().invoke(app, ["jobs", "list"])
    assert (done.exit_code, "the-key-itself" in done.output) == (5, False)
    assert "JOBTRACK_API_KEY_FILE" in done.stderr


@pytest.mark.parametrize(
    "call",
    [
        lambda jobs: jobs.health(),
        lambda jobs: jobs.create_job("x"),
        lambda jobs: [*jobs.iter_jobs()],
        lambda jobs: [*jobs.stream_events()],
        lambda jobs: jobs.put_input(UNKNOWN, b""),
    ],
)
def test_no_call_follows_a_redirect(call: Callable[[JobtrackClient], object]) -> None:
    with (
        Listener()() as stranger,
        Listener(redirect=stranger.url)() as service,
        JobtrackClient(service.url, "given") as jobs,
        pytest.raises(JobtrackError),
    ):
        call(jobs)
    assert service.keys == ["Bearer given"]
    assert stranger.keys == []


def test_an_address_with_a_password_in_it_is_refused_and_not_repeated() -> None:
    with pytest.raises(Unavailable, match="holds no user name or password") as refused:
        JobtrackClient("http://me:s3cret@127.0.0.1:8000", "given")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "noted"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("localhost", "http://localhost:81"),
        ("::1", "http://[::1]:81"),
        ("0.0.0.0", "http://127.0.0.1:81"),
        ("::", "http://[::1]:81"),
        ("127.0.0.2", None),
        ("192.0.2.1", None),
        ("host.example", None),
    ],
)
def test_only_loopback_is_noted_and_anything_else_removes_the_note(
    data_dir: Path, host: str, noted: str | None
) -> None:
    note = data_dir / "api-key.url"
    keys.note_address(_own_address(host, 81), data_dir)
    assert (note.read_text() if note.exists() else None) == (f"{noted}\n" if noted else None)
