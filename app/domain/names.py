"""What the name of a queue or a type may be where it is new. Names of before go on: jobs carry them."""

import re
from typing import Final

NO_CONTROL: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""What names are, as a pattern for regular expressions of any language."""
NO_ADDRESS: Final = r"(^|/)\.\.?(/|$)|/(pause|resume)$"
"""What the name of a queue is not, likewise: clients resolve dots before they send a path, and of `x/pause` a path does
not tell whether it is that queue or the pause of `x`.
"""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ADDRESS: Final = re.compile(NO_ADDRESS.replace("$", r"\Z"))


def name_fault(name: str) -> str | None:
    """Return what is wrong with the name of a type; None if nothing is."""
    return "A name holds no control characters." if _CONTROL.search(name) else None


def queue_name_fault(name: str) -> str | None:
    """Return what is wrong with the name of a queue; None if nothing is."""
    if fault := name_fault(name):
        return fault
    if _ADDRESS.search(name):
        return "The name of a queue has no part `.` or `..` between slashes, and does not end in `/pause` or `/resume`."
    return None
