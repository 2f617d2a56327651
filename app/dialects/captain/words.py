"""Captain's closed sets of words, each a schema of its own in the document."""

from typing import Literal

from typing_extensions import TypeAliasType

Status = TypeAliasType(
    "Status", Literal["pending", "running", "completed", "completed_with_failures", "failed", "cancelled"]
)
"""The documented values; the page mentions `completed_with_failures` only in the description of the billing."""
Stage = TypeAliasType(
    "Stage", Literal["scanning", "extracting", "chunking", "tagging", "embedding", "finalizing", "cancelled"]
)
FileStatusWord = TypeAliasType(
    "FileStatusWord", Literal["queued", "processing", "completed", "failed", "skipped", "cancelled"]
)
ProcessingType = TypeAliasType("ProcessingType", Literal["basic", "advanced"])
JobType = TypeAliasType(
    "JobType",
    Literal[
        "index_s3",
        "index_s3_file",
        "index_s3_directory",
        "index_gcs",
        "index_gcs_file",
        "index_gcs_directory",
        "index_azure",
        "index_azure_file",
        "index_azure_directory",
        "index_r2",
        "index_r2_file",
        "index_r2_directory",
        "index_url",
        "index_youtube",
        "index_text",
        "index_file",
    ],
)
"""The types of S3, GCS and R2 are the vendor's; the others are named by the same pattern."""
