"""What history reads from the environment."""

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of history, read once at start from CALLBUS_* variables."""

    history_batch: int = Field(400, ge=1, le=5000, description="Most messages stored in one transaction.")
    history_prefetch: int = Field(
        800, ge=1, le=20000, description="Most messages taken from the broker unacknowledged."
    )
    history_read_seconds: float = Field(10.0, gt=0, description="Longest query of an API request; longer is 503.")
    history_requests_days: int = Field(
        30, ge=1, le=3650, description="How long refused and unrecognised requests are kept, in days."
    )
    history_repeats_days: int = Field(
        7, ge=1, le=3650, description="How long requests that told nothing new are kept, in days."
    )
