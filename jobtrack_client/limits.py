"""The limits of the service's worker calls, as `openapi/native.json` declares them; a test compares the two."""

from __future__ import annotations

# Of a name, which a stage and an error's code are; of a message; and of a log line.
NAME_CHARACTERS = 255
TEXT_CHARACTERS = 4096
LOG_CHARACTERS = 16_384
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

# Of one report. The bytes and the values (every number, text, list, object) are those of a whole body.
MAX_ITEMS = 1000
MAX_LOGS = 1000
MAX_BODY_BYTES = 1024 * 1024
MAX_BODY_VALUES = 50_000
# What a checkpoint or a result may take of a body: the rest of it is the token and the names of the fields.
MAX_DOCUMENT_BYTES = MAX_BODY_BYTES - 1024

MAX_RETRY_AFTER_SECONDS = 604_800.0
