"""The settings of the service by their names: what each is, where its value comes from, and names that are none."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping

from app.secret_files import PREFIX, SECRETS, variables_of
from app.settings import Settings

# Read by the client commands and the client itself: known names, but not settings of the service.
_ELSEWHERE = frozenset({"JOBTRACK_URL", "JOBTRACK_API_KEY", "JOBTRACK_API_KEY_FILE"})
_TEST_PREFIX = "JOBTRACK_TEST_"


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for every JOBTRACK_ name that is not a setting, so that a typing error is noticed."""
    names = {PREFIX + field.upper() for field in Settings.model_fields} | _ELSEWHERE
    names |= {f"{PREFIX}{field.upper()}_FILE" for field in SECRETS}
    warnings = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in names and not name.startswith(_TEST_PREFIX):
            # Compared without the prefix, which would make all names similar.
            bare = [candidate.removeprefix(PREFIX) for candidate in names]
            near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else "."
            warnings.append(f"{name} is not a setting of Jobtrack{hint}")
    return warnings


def settings_named() -> list[tuple[str, str, str]]:
    """List the settings: the field, the environment variable that sets it, and the description."""
    return [(field, variables_of(field)[0], info.description or "") for field, info in Settings.model_fields.items()]


def origin_of(field: str) -> str:
    """Return where the value of a setting comes from."""
    for name in variables_of(field):
        if os.environ.get(name):
            return f"environment {name}"
    for name in variables_of(field):
        if field in SECRETS and os.environ.get(f"{name}_FILE"):
            return f"file {name}_FILE"
    return "default"
