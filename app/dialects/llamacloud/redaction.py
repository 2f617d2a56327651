"""Removal of texts that may be secret from a configuration that every reader of jobs can see."""

from typing import Any, Final

SAFE_TEXTS: Final = frozenset(
    {
        "correlation_id",
        "description",
        "id",
        "job_name",
        "lang",
        "languages",
        "mode",
        "parent_job_execution_id",
        "parse_mode",
        "preset",
        "priority",
        "project_id",
        "session_id",
        "status",
        "target_pages",
        "type",
        "user_id",
    }
)
"""The fields of a configuration whose text is visible to every reader of jobs. All other fields may contain keys, URLs
with passwords, headers or prompts: no list of dangerous names could be complete.
"""


def without_secrets(config: Any, name: str = "") -> Any:
    """Return a configuration without the texts of fields outside `SAFE_TEXTS`, at any depth."""
    if isinstance(config, dict):
        shown = {inner: without_secrets(value, inner) for inner, value in config.items()}
        return {inner: value for inner, value in shown.items() if value is not None or config[inner] is None}
    if isinstance(config, list):
        return [shown for value in config if (shown := without_secrets(value, name)) is not None]
    return None if isinstance(config, str) and name not in SAFE_TEXTS else config
