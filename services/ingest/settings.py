"""Settings of ingest."""

from pathlib import Path

from pydantic import Field

from shared.settings import MIB, ServiceSettings


class Settings(ServiceSettings):
    """What ingest reads from CALLBUS_* variables at start, beside what every service reads."""

    confirm_seconds: float = Field(
        default=1.0, gt=0, description="Longest wait for the broker to confirm an event; then it goes to the journal."
    )
    journal_dir: Path = Field(
        default=Path("/var/lib/callbus/journal"),
        description="Folder on a local disk, shared by all replicas, for what the broker does not take.",
    )
    journal_limit_bytes: int = Field(default=2048 * MIB, gt=0, description="Largest journal of a process; then 503.")
    channel_rate_per_second: float = Field(default=200.0, gt=0, description="Requests taken from a channel, sustained.")
    channel_rate_burst: int = Field(default=1000, gt=0, description="Requests taken from a channel at once.")
    rejected_per_minute: int = Field(
        default=10, gt=0, description="Refusals alike (401, 403, 404, 405, 413, 429) kept per address and channel."
    )
    rejected_body_bytes: int = Field(default=16 * 1024, gt=0, description="How much of a refused body is kept.")
    audio_limit_bytes: int = Field(default=40 * MIB, gt=0, description="Largest recording that is taken; more is 413.")
    audio_read_seconds: float = Field(
        default=120.0, gt=0, description="Longest wait for a request with a recording; longer is 408."
    )
