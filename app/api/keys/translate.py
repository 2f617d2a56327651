"""Keys and projects as documents."""

from typing import Any

from app.api.translate import time_text
from app.domain.principal import Project, Scope, StoredKey


def key_document(key: StoredKey) -> dict[str, Any]:
    """Describe a key, without the key."""
    return {
        "id": key.id,
        "name": key.name,
        "project_id": str(key.project_id),
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "queues": None if key.queues is None else sorted(key.queues),
        "created_at": time_text(key.created_at),
        "expires_at": time_text(key.expires_at),
        "revoked_at": time_text(key.revoked_at),
        "last_used_at": time_text(key.last_used_at),
    }


def project_document(project: Project) -> dict[str, Any]:
    """Describe a project."""
    return {"id": str(project.id), "name": project.name, "created_at": time_text(project.created_at)}
