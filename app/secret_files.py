"""Secrets that the environment names by their files, and the names that settings have there."""

import os
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

PREFIX: Final = "JOBTRACK_"
SECRETS: Final = ("database_url", "listen_url", "bootstrap_key")
ALIASES: Final = {"database_url": "DATABASE_URL", "port": "PORT"}


class SettingsError(Exception):
    """A setting is wrong; the message is one sentence that names it and never repeats a secret."""


def variables_of(field: str) -> list[str]:
    """Return the environment variables of a field; the first one that is set is used."""
    return [PREFIX + field.upper(), *([ALIASES[field]] if field in ALIASES else [])]


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets in files, as container platforms mount them: `JOBTRACK_BOOTSTRAP_KEY_FILE=/run/secrets/key`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the content of a secret's file, without the line feed that editors append."""
        del field
        for name in variables_of(field_name):
            path = os.environ.get(f"{name}_FILE")
            if path and field_name in SECRETS:
                if any(os.environ.get(plain) for plain in variables_of(field_name)):
                    raise SettingsError(f"Both {name} and {name}_FILE are set: leave one of them out.")
                try:
                    return Path(path).read_text().strip(), variables_of(field_name)[0], False
                except (OSError, UnicodeDecodeError) as error:
                    why = error.strerror if isinstance(error, OSError) else "it is not text"
                    # Where it is no path, somebody has put the secret itself there.
                    shown = f"{path}, which" if path.startswith("/") else "a file that"
                    raise SettingsError(f"{name}_FILE names {shown} cannot be read: {why}.") from None
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all secrets that are set by files."""
        values = (self.get_field_value(info, name) for name, info in self.settings_cls.model_fields.items())
        return {key: value for value, key, _ in values if value is not None}
