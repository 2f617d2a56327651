"""Captain's indexing requests: a body for each kind of source, as `captain-sdk` 0.1.1 sends it.

We found no documentation of the bodies of `youtube` and `text`, so they are kept as sent. Fields that are not declared
here are kept for every source.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints, model_validator
from typing_extensions import TypeAliasType

from app.dialects.captain.words import ProcessingType
from app.web.params import WHOLE

Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]


Jurisdiction = TypeAliasType("Jurisdiction", Literal["default", "eu", "fedramp"])


class IndexRequest(BaseModel):
    """Options of every source."""

    model_config = ConfigDict(frozen=True, extra="allow")

    processing_type: ProcessingType | None = None
    custom_metadata: dict[str, Any] | None = None


class _Many(IndexRequest):
    max_files: Annotated[StrictInt, Field(ge=1, le=2_147_483_647), WHOLE] | None = None
    skip_existing: StrictBool | None = Field(default=None, description="The vendor's default is true.")


class _File(IndexRequest):
    file_uri: Text


class _Directory(_Many):
    directory_path: Text


class _S3(BaseModel):
    bucket_name: Text
    aws_access_key_id: Secret
    aws_secret_access_key: Secret
    bucket_region: Text | None = None


class _Gcs(BaseModel):
    bucket_name: Text
    service_account_json: Secret


class _Azure(BaseModel):
    container_name: Text
    account_name: Text
    account_key: Secret


class _R2(BaseModel):
    bucket_name: Text
    account_id: Text
    access_key_id: Secret
    secret_access_key: Secret
    jurisdiction: Jurisdiction | None = None


class IndexS3(_Many, _S3):
    """A whole bucket."""


class IndexS3File(_File, _S3):
    """One file of a bucket."""


class IndexS3Directory(_Directory, _S3):
    """One directory of a bucket."""


class IndexGcs(_Many, _Gcs):
    """A whole bucket."""


class IndexGcsFile(_File, _Gcs):
    """One file of a bucket."""


class IndexGcsDirectory(_Directory, _Gcs):
    """One directory of a bucket."""


class IndexAzure(_Many, _Azure):
    """A whole container."""


class IndexAzureFile(_File, _Azure):
    """One file of a container."""


class IndexAzureDirectory(_Directory, _Azure):
    """One directory of a container."""


class IndexR2(_Many, _R2):
    """A whole bucket."""


class IndexR2File(_File, _R2):
    """One file of a bucket."""


class IndexR2Directory(_Directory, _R2):
    """One directory of a bucket."""


class IndexUrl(IndexRequest):
    """One URL or several."""

    url: Text | None = None
    urls: Annotated[list[Text], Field(min_length=1, max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _has_one(self) -> "IndexUrl":
        if self.url is None and self.urls is None:
            raise ValueError("Either url or urls must be provided.")
        return self


class _Anything(IndexRequest):
    @model_validator(mode="after")
    def _has_some(self) -> "_Anything":
        if not self.model_fields_set:
            raise ValueError("Say what to index.")
        return self


class IndexYouTube(_Anything):
    """Videos."""


class IndexText(_Anything):
    """Text sent with the request."""


BODIES: Final[dict[str, type[IndexRequest]]] = {
    "s3": IndexS3,
    "s3/file": IndexS3File,
    "s3/directory": IndexS3Directory,
    "gcs": IndexGcs,
    "gcs/file": IndexGcsFile,
    "gcs/directory": IndexGcsDirectory,
    "azure": IndexAzure,
    "azure/file": IndexAzureFile,
    "azure/directory": IndexAzureDirectory,
    "r2": IndexR2,
    "r2/file": IndexR2File,
    "r2/directory": IndexR2Directory,
    "url": IndexUrl,
    "youtube": IndexYouTube,
    "text": IndexText,
}
"""The sources whose request is JSON; `file` takes a multipart form."""

CREDENTIALS: Final = frozenset(source for source in BODIES if source.partition("/")[0] in {"s3", "gcs", "azure", "r2"})
"""The sources whose requests contain credentials."""
