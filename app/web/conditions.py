"""Conditional requests: whether If-None-Match names the entity tag of what would be sent."""

import re
from typing import Final

from starlette.datastructures import Headers

_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_CODING: Final = re.compile(r"(?:--?|;)(?:gzip|x-gzip|br|zstd|deflate|compress)")
"""What a proxy that compresses adds to a tag: Apache `-gzip`, Jetty `--gzip`, others `;br`."""


def names_tag(headers: Headers, tag: str) -> bool:
    """Whether If-None-Match, on one line or on several, names this tag (without its quotes), or `*`.

    Anything that is not an entity tag matches nothing. A tag as a proxy has changed it is the same tag: our own end in
    no coding, and by one that is never found again a client that polls would read everything each time.
    """
    value = ",".join(headers.getlist("if-none-match"))
    for found in _TAG.findall(value):
        if found == tag or (found.startswith(tag) and _CODING.fullmatch(found, len(tag))):
            return True
    return "*" in (part.strip() for part in _TAG.sub("", value).split(","))
