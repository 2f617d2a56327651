"""The settings of the service: environment variables, read once and checked before a port opens.

`JOBTRACK_DATABASE_URL` and every other secret can also be read from a file, whose path is in the variable of the same
name with `_FILE` appended. The client commands do not use this module: they run where only the client is installed.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.domain.answers import MAX_ANSWER_BYTES
from app.domain.held import KEY_SHARE_PERCENT
from app.domain.key_text import is_mistyped
from app.domain.queue import DAY_SECONDS, KEEP_DAYS, KEEP_FAILED_DAYS, Keeping
from app.paths import default_data_dir
from app.secret_files import ALIASES, PREFIX, SecretFiles, SettingsError, variables_of

_POSTGRESQL = re.compile(r"postgres(ql)?(\+asyncpg)?://\S+")
_ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?")
_KEY = re.compile(r"[\x21-\x7e]{32,255}")


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()


def _named(field: str) -> Any:
    return AliasChoices(*variables_of(field))


class Settings(BaseSettings):
    """The settings of the service; `load` reads them, and reports errors as one sentence."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # `JOBTRACK_PORT=` in a compose file means "not set", as it does to a shell.
        env_ignore_empty=True,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
    )

    database_url: Annotated[SecretStr | None, Field(validation_alias=_named("database_url"))] = Field(
        default=None,
        description="The URL of a PostgreSQL 15 to 18, as postgresql://user:password@host:port/database; if absent, an "
        "embedded one in the data directory is used.",
    )
    listen_url: Annotated[SecretStr | None, Field(validation_alias=_named("listen_url"))] = Field(
        default=None,
        description="The URL of a direct connection for LISTEN if the main one uses a pooler; default: the main one.",
    )
    host: Annotated[str, Field(validation_alias=_named("host"))] = Field(
        default="127.0.0.1",
        description="The address to serve on; 0.0.0.0 for all addresses of this machine. By default only this machine "
        "can reach the service, because it does not speak TLS.",
        min_length=1,
    )
    port: Annotated[int, Field(validation_alias=_named("port"))] = Field(
        default=8000, description="The TCP port to serve on; 0 chooses a free one, which is printed.", ge=0, le=65535
    )
    workers: Annotated[int, Field(validation_alias=_named("workers"))] = Field(
        default=1,
        description="Server processes. Each keeps one processor busy; more than there are processors gain nothing.",
        ge=1,
        le=64,
    )
    pool_size: Annotated[int, Field(validation_alias=_named("pool_size"))] = Field(
        default=10,
        description="Database connections of each process. Reads and writes are batched, so more rarely help. Lists "
        "and changes that one request makes alone have 40 % of them, claims 30 %, and no project has all of either.",
        ge=4,
        le=100,
    )
    prepared_statements: Annotated[bool | None, Field(validation_alias=_named("prepared_statements"))] = Field(
        default=None,
        description="Whether connections keep prepared statements, which halves the cost of many. Must be off behind a "
        "pooler in transaction mode, which mixes them up and returns wrong rows. Default: `true` for the embedded "
        "database, `false` for one that is named.",
    )
    max_answer_bytes: Annotated[int, Field(validation_alias=_named("max_answer_bytes"))] = Field(
        default=MAX_ANSWER_BYTES,
        description="Bytes of an answer: pages end and claims stop where they reach them, with one row at least. A "
        "process holds several times as many for each answer under way. Inputs and streams have no such bound.",
        ge=65_536,
        le=1_073_741_824,
    )
    key_share_percent: Annotated[int, Field(validation_alias=_named("key_share_percent"))] = Field(
        default=KEY_SHARE_PERCENT,
        description="How much of what a process can hold open (20,000 waits, 200,000 watched ids, 10,000 claims of 500 "
        "filters, 2,000 streams, 1,000 uploads and downloads) one key may hold; beyond it gets 429.",
        ge=1,
        le=100,
    )
    data_dir: Annotated[Path, Field(validation_alias=_named("data_dir"))] = Field(
        default_factory=default_data_dir,
        description="The folder for the embedded database, the generated API key and the demo's index; default: the "
        "user's data folder, or /var/lib/jobtrack for root.",
    )
    min_free_bytes: Annotated[int, Field(validation_alias=_named("min_free_bytes"))] = Field(
        default=256 * 2**20,
        description="With the embedded database: creations and uploads are refused while its volume has less free "
        "space than this, so that jobs which run can still be finished; 0: never.",
        ge=0,
        le=2**50,
    )
    keep_days: Annotated[int, Field(validation_alias=_named("keep_days"))] = Field(
        default=KEEP_DAYS,
        description="Days for which ended jobs are kept whose queue has no `retention`; 0: for ever. A database with "
        "ended jobs from before this setting keeps them all until this or the next one is set.",
        ge=0,
        le=36_500,
    )
    keep_failed_days: Annotated[int, Field(validation_alias=_named("keep_failed_days"))] = Field(
        default=KEEP_FAILED_DAYS,
        description="The same for jobs that failed or expired.",
        ge=0,
        le=36_500,
    )
    max_queues: Annotated[int, Field(validation_alias=_named("max_queues"))] = Field(
        default=10_000,
        description="Queues of a project. Names are chosen by clients; one more is refused.",
        ge=1,
        le=1_000_000,
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(validation_alias=_named("log_level"))] = (
        Field(
            default="info",
            description="What is logged: `info` has what the service itself does to a job, a line each; `debug` also "
            "what callers do, a line a batch.",
        )
    )
    log_format: Annotated[Literal["auto", "text", "json"], Field(validation_alias=_named("log_format"))] = Field(
        default="auto", description="The form of the log: `auto` is text on a terminal and else JSON, a line each."
    )
    dialects: Annotated[str | None, Field(validation_alias=_named("dialects"))] = Field(
        default=None,
        description="The vendors' APIs to serve besides the native one: names separated by commas (`immuta,docent`), "
        "or `none`; default: all.",
    )
    trusted_proxies: Annotated[str | None, Field(validation_alias=_named("trusted_proxies"))] = Field(
        default=None,
        description="The proxies in front of the service: addresses and networks separated by commas (`10.0.0.5, "
        "172.16.0.0/12`). Only from these is X-Forwarded-For believed; default: none.",
    )
    public_url: Annotated[str | None, Field(validation_alias=_named("public_url"))] = Field(
        default=None,
        description="The address at which browsers reach the service, as https://jobs.example.com; printed in links, "
        "allowed as the origin of changes on the pages, and with https the reason for a Secure cookie. Default: "
        "what the browser says.",
    )
    bootstrap_key: Annotated[SecretStr | None, Field(validation_alias=_named("bootstrap_key"))] = Field(
        default=None,
        description="The first admin key, of 32 to 255 visible characters, which is installed if there is no key yet; "
        "default: a new one.",
    )

    @field_validator("database_url", "listen_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _POSTGRESQL.fullmatch(value.get_secret_value()):
            raise ValueError("it should look like postgresql://user:password@host:5432/database")
        return value

    @field_validator("bootstrap_key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _KEY.fullmatch(value.get_secret_value()):
            raise ValueError("a key has 32 to 255 visible ASCII characters and no spaces")
        if value is not None and is_mistyped(value.get_secret_value()):
            raise ValueError("it looks like a generated key in which a character is wrong; it would be refused")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_origin(cls, value: str | None) -> str | None:
        if value is not None and not _ORIGIN.fullmatch(value):
            raise ValueError("it should look like https://jobs.example.com: a scheme, a host, perhaps a port, no path")
        return None if value is None else value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        for network in _parts(value):
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is neither an address nor a network like 172.16.0.0/12") from None
        return value

    @property
    def keeping(self) -> Keeping:
        """How long ended jobs are kept whose queue has no rule."""
        is_set = bool({"keep_days", "keep_failed_days"} & self.model_fields_set)
        return Keeping(self.keep_days * DAY_SECONDS, self.keep_failed_days * DAY_SECONDS, is_set)

    @property
    def trusted_networks(self) -> tuple[str, ...]:
        """The trusted proxies, one by one."""
        return _parts(self.trusted_proxies)

    @field_validator("data_dir")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            # As for ~nobody, whose home is nowhere.
            raise ValueError(str(error)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in their order of precedence: the command line, the environment, files."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SecretFiles(settings_cls)


def load(**options: object) -> Settings:
    """Read the environment; options that are not None take precedence. Raises `SettingsError`."""
    values: dict[str, Any] = {variables_of(name)[0]: value for name, value in options.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    # The input is omitted, because it may be a secret.
    faults = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        place = str(fault["loc"][0])
        field = place.removeprefix(PREFIX).lower()
        field = next((name for name, alias in ALIASES.items() if alias == place), field)
        name = next((name for name in variables_of(field) if os.environ.get(name)), variables_of(field)[0])
        faults.append(f"{name} is wrong: {fault['msg'].removeprefix('Value error, ')}")
    return "; ".join(faults) + "."
