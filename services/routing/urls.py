"""Where a provider posts to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.directory import KeyKind

KEY_KINDS: Final[Mapping[str, KeyKind]] = {
    "channel_key": "key",
    "telecube": "key",
    "supervoip": "key",
    "voipnow": "key",
    "datera": "key",
    "generic": "key",
    "partner": "crm_token",
}
"""What names a channel of each provider that posts to us; `manual`, what people write down, has nothing."""


def webhook_url(base_url: str, provider: str, key: str) -> str:
    """The full URL to post to; VoipNow's lacks the last segment, the event. Raises `KeyError` for `manual`."""
    base = base_url.rstrip("/")
    if KEY_KINDS[provider] == "crm_token":
        return f"{base}/voip/integration"  # the token is in the body
    if provider == "channel_key":
        return f"{base}/api/v2/telephony/calls/@{key}"
    return f"{base}/hooks/{provider}/{key}"
