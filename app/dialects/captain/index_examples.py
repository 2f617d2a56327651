"""Examples and names of the indexing requests in Captain's document.

The sources do not exist, and the credentials are none.
"""

from typing import Any, Final

_STORES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "s3": (
        "an S3 bucket",
        {"bucket_name": "example", "aws_access_key_id": "EXAMPLE", "aws_secret_access_key": "not-a-secret"},
    ),
    "gcs": ("a Google Cloud Storage bucket", {"bucket_name": "example", "service_account_json": "{}"}),
    "azure": (
        "an Azure container",
        {"container_name": "example", "account_name": "example", "account_key": "not-a-secret"},
    ),
    "r2": (
        "an R2 bucket",
        {
            "bucket_name": "example",
            "account_id": "example",
            "access_key_id": "EXAMPLE",
            "secret_access_key": "not-a-secret",
        },
    ),
}
"""Each store of files by its name in the path: what it is called, and the fields that open one."""

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    **{store: opening | {"max_files": 10} for store, (_, opening) in _STORES.items()},
    **{f"{store}/file": opening | {"file_uri": f"{store}://example/a.pdf"} for store, (_, opening) in _STORES.items()},
    **{f"{store}/directory": opening | {"directory_path": "handbooks/"} for store, (_, opening) in _STORES.items()},
    "url": {"url": "https://example.com/a.pdf"},
    "youtube": {"url": "https://www.youtube.com/watch?v=example"},
    "text": {"text": "Some text to index."},
}
"""A request for each source."""

NAMES: Final = {
    **{store: name for store, (name, _) in _STORES.items()},
    **{f"{store}/file": f"a file of {name}" for store, (name, _) in _STORES.items()},
    **{f"{store}/directory": f"a directory of {name}" for store, (name, _) in _STORES.items()},
    "url": "web pages",
    "youtube": "videos",
    "text": "a text",
}
"""What each source is, for people."""
