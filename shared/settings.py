"""Settings that every service shares, read once at start from CALLBUS_* variables.

A service adds its own in a subclass. Secrets are `SecretStr`, files that hold secrets are paths, quantities carry
their unit in the name.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB


class HttpSettings(BaseSettings):
    """What a service's HTTP side needs to know."""

    # A validation error names the variable but never repeats what it held: it may be a secret.
    model_config = SettingsConfigDict(env_prefix="CALLBUS_", frozen=True, hide_input_in_errors=True)

    listen_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    listen_port: int = Field(default=0, ge=0, le=65535, description="Port to listen on; 0 takes any free one (logged).")
    body_limit_bytes: int = Field(
        default=MIB, gt=0, description="Largest request body, after decompression; more is 413."
    )
    body_read_seconds: float = Field(
        default=10.0, gt=0, description="Longest wait for a request's body; longer is 408."
    )
    header_limit_bytes: int = Field(
        default=16 * KIB, gt=0, description="Longest request line and longest single header."
    )
    header_limit_count: int = Field(default=100, gt=0, description="Most headers in a request.")
    keepalive_seconds: float = Field(
        default=150.0, gt=0, description="How long an idle connection is kept: longer than the edge keeps it (120 s)."
    )
    shutdown_seconds: float = Field(
        default=10.0, gt=0, description="How long requests in flight may take after SIGTERM."
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings that the environment holds. Raises `ValidationError`, naming what is wrong.

        CALLBUS_SECRETS_DIR names a folder of files, each the value of the variable that it is called after in lower
        case (callbus_postgres_dsn), as containers are given secrets; a variable wins over its file.
        """
        return cls(_secrets_dir=os.environ.get("CALLBUS_SECRETS_DIR"))


class ServiceSettings(HttpSettings):
    """The environment of one service process."""

    amqp_url: SecretStr = Field(description="RabbitMQ: amqp://user:password@host:port/vhost.")
    postgres_dsn: SecretStr = Field(description="PostgreSQL, as this service's own role.")
    base_url: str = Field(
        default="http://127.0.0.1:8080", description="Public base URL of the edge, for links we hand out."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level logged."
    )
    data_dir: Path = Field(default=Path("/var/lib/callbus"), description="Folder for state on disk.")
    master_key_file: Path | None = Field(default=None, description="File with the 32-byte master key, in base64.")
    recordings_url: str = Field(
        default="file:///var/lib/callbus/recordings",
        description="The store of recordings: file:///folder, or s3://, gs://, az:// with a bucket.",
    )
    link_key_file: Path | None = Field(
        default=None, description="File with the key that signs links to recordings, the same for ingest and history."
    )
    operator_token_file: Path | None = Field(
        default=None, description="File with the operators' token; without it there is no operator API."
    )
