"""What a report says of items, and the lines of its log."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError, to_json
from typing_extensions import TypeAliasType

from app.api.fields import AnyJson, Body, LogText, Name, Size, Text, Time, Uri
from app.domain.item import ItemStatus, ItemUpdate

MAX_ITEM_RESULT_BYTES = 4096


class ItemUpdateIn(Body):
    """Changes to an item. An omitted or null field is unchanged; an unknown key creates an item."""

    key: Name
    status: Annotated[ItemStatus, Field(strict=False)] | None = None
    name: Name | None = None
    uri: Uri | None = None
    stage: Name | None = None
    message: Text | None = None
    error_code: Name | None = None
    error_message: Text | None = None
    skip_reason: Text | None = None
    size_bytes: Size | None = None
    result: AnyJson = Field(default=None, description="Up to 4 KiB of JSON.")

    @field_validator("result")
    @classmethod
    def _small(cls, value: Any) -> Any:
        if value is not None and len(to_json(value)) > MAX_ITEM_RESULT_BYTES:
            raise PydanticCustomError("result_too_long", "An item's result takes up to 4096 bytes.")
        return value

    def to_domain(self) -> ItemUpdate:
        """Return this in the domain's terms."""
        return ItemUpdate(
            key=self.key,
            status=self.status,
            name=self.name,
            uri=self.uri,
            stage=self.stage,
            message=self.message,
            error_code=self.error_code,
            error_message=self.error_message,
            skip_reason=self.skip_reason,
            size_bytes=self.size_bytes,
            result=self.result,
        )


LogLevel = TypeAliasType("LogLevel", Literal["debug", "info", "warning", "error", "critical"])


class LogLineIn(Body):
    """One line of the job's log."""

    level: LogLevel = "info"
    message: LogText
    at: Time | None = Field(default=None, description="Accepted but not used: lines are timestamped on arrival.")
