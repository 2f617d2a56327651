"""A job's input: bytes that are too large, or too secret, for its payload."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StoredInput:
    """Bytes that lie in the database under an upload's id. Reruns share the upload of their original."""

    upload_id: UUID
    content_type: str
    size_bytes: int
    sha256: bytes
    sensitive: bool = False
    """It holds credentials: unreadable from the moment the job has ended, and dropped soon after."""
