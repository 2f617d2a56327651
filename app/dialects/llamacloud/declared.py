"""What LlamaCloud's operations declare alike: errors, and parameters that are accepted and ignored."""

from typing import Any

from app.dialects.llamacloud import translate

ERRORS = {
    400: "The request body is not JSON.",
    401: "The API key is missing or invalid.",
    403: "The API key lacks the required scope.",
    404: "Job not found.",
    408: "The request body arrived too slowly.",
    413: "The request body is too large.",
    415: "Compressed request bodies are not supported.",
    422: "The request is invalid.",
    429: "Too many invalid API keys from this address.",
    500: "Internal error.",
    503: "The database is unavailable.",
}
KEY_ERRORS = {409: "A request with this Idempotency-Key is still in progress."}
ACCEPTED: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        # Text and no UUID: nobody looks at it.
        "schema": {"type": "string"},
        "description": "Accepted and ignored: the API key determines the project.",
    }
    for name in ("project_id", "organization_id")
]
NAMESPACE: dict[str, Any] = {
    "name": translate.NAMESPACE,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Accepted and ignored.",
}
