"""Extract the text of a file: plain text, Markdown, HTML and PDF, also compressed."""

from __future__ import annotations

import codecs
import dataclasses
import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError
from selectolax.lexbor import LexborHTMLParser

from jobtrack_client import Fail

# The length of a page in formats that have no pages.
PAGE_CHARACTERS = 3000
_COMPRESSED = ".gz"
_GZIP_BITS = 31
_MOST_UNPACKED_BYTES = 16 * 1024 * 1024

_NAMES = frozenset({"authors", "changelog", "changes", "copying", "license", "licence", "notice", "readme"})
# Control characters that occur in no text. Tab, line feed, form feed, carriage return and escape (colours) do occur.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKDOWN = (
    (re.compile(r"\A---\n.*?\n---\n", re.DOTALL), ""),
    (re.compile(r"^(```|~~~).*$", re.MULTILINE), ""),
    (re.compile(r"<!--.*?-->|</?[a-zA-Z][^<>\n]*>", re.DOTALL), " "),
    (re.compile(r"!?\[([^\]\n]*)\](\([^)\n]*\)|\[[^\]\n]*\])"), r"\1"),
    (re.compile(r"^\s{0,3}(#{1,6}|>|[-*+]|\d+[.)])\s+", re.MULTILINE), ""),
    (re.compile(r"(?<!\w)[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}(?!\w)"), ""),
)


class BrokenFile(Fail):
    """The file has no text that can be extracted; `code` identifies the reason, and becomes that of the item."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message[:500], retryable=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file and the number of its pages."""

    text: str
    pages: int


def is_supported(path: Path) -> bool:
    """Return whether the file, by its name, is of a supported type."""
    if path.suffix.lower() == _COMPRESSED:
        path = path.with_suffix("")
    return path.suffix.lower() in _READERS or path.name.lower() in _NAMES


def extract(path: Path, content: bytes) -> Extracted:
    """Return the text of the content, which was read from `path`. Raises `BrokenFile`."""
    if path.suffix.lower() == _COMPRESSED:
        path, content = path.with_suffix(""), _unpacked(content)
    return _READERS.get(path.suffix.lower(), _plain)(content)


def _unpacked(content: bytes) -> bytes:
    # Some kilobytes may unpack to gigabytes.
    unpacker = zlib.decompressobj(wbits=_GZIP_BITS)
    try:
        unpacked = unpacker.decompress(content, _MOST_UNPACKED_BYTES)
    except zlib.error as error:
        raise BrokenFile("broken_gzip", str(error)) from error
    if unpacker.unconsumed_tail:
        raise BrokenFile("too_long", f"The file unpacks to more than {_MOST_UNPACKED_BYTES:,} bytes")
    if not unpacker.eof:
        raise BrokenFile("broken_gzip", "The compressed file ends before its end was marked")
    return unpacked


def _plain(content: bytes) -> Extracted:
    return _paged(_decode(content))


def _markdown(content: bytes) -> Extracted:
    text = _decode(content)
    for pattern, replacement in _MARKDOWN:
        text = pattern.sub(replacement, text)
    return _paged(text)


def _html(content: bytes) -> Extracted:
    if b"\x00" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BrokenFile("not_text", "The file contains bytes that do not occur in HTML")
    tree = LexborHTMLParser(content, encoding=True)
    for node in tree.css("script, style, noscript, template"):
        node.decompose()
    return _paged(tree.text(separator="\n", strip=True, skip_empty=True))


def _pdf(content: bytes) -> Extracted:
    try:
        reader = PdfReader(io.BytesIO(content))
        pages = [page.extract_text() for page in reader.pages]
    except (FileNotDecryptedError, DependencyError) as error:
        raise BrokenFile("encrypted_pdf", str(error)) from error
    # pypdf documents that "broken PDF files might cause other exceptions"; all mean the same here.
    except Exception as error:
        raise BrokenFile("broken_pdf", str(error) or type(error).__name__) from error
    if not pages:
        raise BrokenFile("broken_pdf", "The file has no pages")
    # Broken font tables produce lone surrogates, which can be neither stored nor sent.
    text = "\n\n".join(pages).encode("utf-8", "replace").decode()
    return Extracted(text, len(pages))


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif _BINARY.search(content):
        raise BrokenFile("not_text", "The file contains bytes that do not occur in text")
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-16":
            raise BrokenFile("not_text", "The file begins as UTF-16 but is not valid UTF-16") from None
        # Old Western text. The encoding has a letter for nearly every byte, so there is no other one to try.
        text = content.decode("cp1252", "replace")
    return text.replace("\r\n", "\n")


def _paged(text: str) -> Extracted:
    return Extracted(text, -(-len(text) // PAGE_CHARACTERS))


_READERS: dict[str, Callable[[bytes], Extracted]] = {
    **dict.fromkeys((".md", ".markdown"), _markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _html),
    ".pdf": _pdf,
    **dict.fromkeys((".txt", ".text", ".rst", ".log", ".csv", ".tsv"), _plain),
    **dict.fromkeys((".py", ".pyi", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".json"), _plain),
}
