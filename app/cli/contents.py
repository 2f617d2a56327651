"""What options read from the command line, from a file, or from standard input."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from app.cli.exits import Exit, fail

MAX_BYTES = 16_777_216
"""More than any service takes in a request: reading stops here, and the service names its own limit."""
_BYTE_ORDER_MARK = "\ufeff"


@contextlib.contextmanager
def opened(option: str, path: Path) -> Iterator[BinaryIO]:
    """Open a file to upload; an error of reading it is one of usage, whenever it comes."""
    try:
        # Neither a folder nor a device, which may have no end.
        if not path.is_file():
            fail(Exit.USAGE, f"{option} {path} is not a file.")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        fail(Exit.USAGE, f"{option} {path} cannot be read: {error.strerror or error}.")


def json_of(option: str, text: str) -> Any:
    """Parse JSON, @FILE or - by the rules of RFC 8259, which Python's parser extends by NaN and Infinity."""
    with _clear_sentences(option):
        value = json.loads(_file(option, text) if _names_file(text) else text)
        json.dumps(value, allow_nan=False)
        return value


def items_of(option: str, text: str) -> list[dict[str, Any]]:
    """Read items from @FILE or -: a key on each line, or JSON, which is an object on each line or one list."""
    if not _names_file(text):
        fail(Exit.USAGE, f"{option} is @FILE or - for standard input; --item adds one key.")
    with _clear_sentences(option):
        content = _file(option, text).decode().removeprefix(_BYTE_ORDER_MARK)
        items = _parsed(content)
        json.dumps(items, allow_nan=False)
        return [{"key": item} if isinstance(item, str) else item for item in items]


def _parsed(content: str) -> list[Any]:
    lines = [line.rstrip("\r") for line in content.split("\n") if line.strip()]
    match content.lstrip()[:1]:
        case "[":
            return list(json.loads(content))
        case "{":
            return [json.loads(line) for line in lines]
    return lines


def _names_file(text: str) -> bool:
    return text == "-" or text.startswith("@")


@contextlib.contextmanager
def _clear_sentences(option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fail(Exit.USAGE, f"{option} cannot be read: {error.strerror or error}.")
    except UnicodeDecodeError as error:
        fail(Exit.USAGE, f"{option} is not text in UTF-8: {error.reason} at byte {error.start}.")
    except ValueError as error:
        fail(Exit.USAGE, f"{option} is not JSON: {error}.")
    except RecursionError:
        fail(Exit.USAGE, f"{option} is nested too deeply.")


def _file(option: str, text: str) -> bytes:
    with contextlib.ExitStack() as stack:
        file = sys.stdin.buffer if text == "-" else stack.enter_context(Path(text[1:]).open("rb"))
        # A device may have no end.
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        fail(Exit.USAGE, f"{option} is longer than {MAX_BYTES:,} bytes; --input uploads a file of any kind.")
    return content
