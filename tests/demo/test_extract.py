"""From bytes to text, for each kind of file, whole and broken."""

import gzip
from pathlib import Path

import pytest

from app.demo.extract import PAGE_CHARACTERS, BrokenFile, extract, is_supported


def pdf(*pages: str) -> bytes:
    """A PDF written by hand: a catalogue, a page tree, and for each page its text in Helvetica."""
    first = 4
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects += [
            (
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
                f"/Contents {first + 2 * number + 1} 0 R >>"
            ),
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    body, offsets = b"%PDF-1.4\n", []
    for number, described in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{described}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def text(name: str, content: bytes) -> str:
    return extract(Path(name), content).text


def test_a_pdf_gives_its_text_and_pages() -> None:
    extracted = extract(Path("a.pdf"), pdf("Hello from page one", "Second page"))
    assert "Hello from page one" in extracted.text
    assert "Second page" in extracted.text
    assert extracted.pages == 2


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\nnothing", b"no pdf at all", pdf("a")[:200], pdf()])
def test_a_broken_pdf_says_so(content: bytes) -> None:
    with pytest.raises(BrokenFile) as caught:
        extract(Path("a.PDF"), content)
    assert caught.value.code == "broken_pdf"
    assert str(caught.value)


def test_html_gives_what_a_reader_sees() -> None:
    page = b"""<!doctype html><head><title>Title</title><style>p{}</style><script>var hidden=1</script></head>
    <body><h1>Heading</h1><p>Some <b>bold</b> text &amp; more<template>no</template></body>"""
    got = text("a.html", page)
    assert all(word in got for word in ("Title", "Heading", "Some", "bold", "text & more"))
    assert "hidden" not in got
    assert "p{}" not in got


def test_html_in_another_encoding_is_read_as_declared() -> None:
    page = '<meta charset="iso-8859-1"><p>Grüße</p>'.encode("iso-8859-1")
    assert "Grüße" in text("a.htm", page)


def test_markdown_loses_its_marks_and_keeps_its_words() -> None:
    source = b"""---
layout: none
---
# Title

Some **bold** and `code` and [a link](https://example.org/x) and snake_case.

* item <br>

```python
print("kept")
```
"""
    got = text("README.md", source)
    assert "layout" not in got
    assert "https://" not in got
    assert all(
        part in got for part in ("Title", "Some bold and code and a link and snake_case", "item", 'print("kept")')
    )
    assert not set("#*`[<") & set(got)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Grüße\r\n".encode(), "Grüße\n"),
        ("Grüße".encode("utf-8-sig"), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        ("Grüße".encode("cp1252"), "Grüße"),
        (b"", ""),
    ],
)
def test_text_is_read_in_the_usual_encodings(content: bytes, expected: str) -> None:
    assert text("a.txt", content) == expected


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "LICENSE"])
def test_what_is_no_text_says_so(name: str) -> None:
    with pytest.raises(BrokenFile) as caught:
        extract(Path(name), b"\x7fELF\x02\x01\x01\x00\x00\x00")
    assert caught.value.code == "not_text"


def test_half_a_utf16_is_no_text() -> None:
    with pytest.raises(BrokenFile) as caught:
        extract(Path("a.txt"), b"\xff\xfe\x00")
    assert caught.value.code == "not_text"


def test_a_compressed_text_gives_its_text() -> None:
    assert text("a.md.gz", gzip.compress(b"# Title")) == "Title"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no gzip", "broken_gzip"),
        (b"", "broken_gzip"),
        (gzip.compress(b"a" * 1000)[:-9], "broken_gzip"),
        (gzip.compress(bytes(1)), "not_text"),
        (gzip.compress(b"a" * 2**25), "too_long"),
    ],
    ids=["no gzip", "empty", "half", "binary", "bomb"],
)
def test_a_broken_compressed_text_says_so(content: bytes, code: str) -> None:
    with pytest.raises(BrokenFile) as caught:
        extract(Path("a.log.gz"), content)
    assert caught.value.code == code


def test_text_counts_pages_by_its_length() -> None:
    lengths = (0, 1, PAGE_CHARACTERS, PAGE_CHARACTERS + 1)
    assert [extract(Path("a.txt"), b"x" * length).pages for length in lengths] == [0, 1, 1, 2]


def test_kinds_are_known_by_name() -> None:
    assert all(is_supported(Path(name)) for name in ("a.py", "a.PDF", "x/README", "license", "a.tar.md", "a.log.gz"))
    assert not any(is_supported(Path(name)) for name in ("a.so", "a", "md", "a.tar.gz", "gz"))
