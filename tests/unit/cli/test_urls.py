"""The URLs that providers are given."""

import pytest

from services.routing.urls import KEY_KINDS, webhook_url


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("supervoip", "https://bus.example/hooks/supervoip/k"),
        ("telecube", "https://bus.example/hooks/telecube/k"),
        ("voipnow", "https://bus.example/hooks/voipnow/k"),
        ("datera", "https://bus.example/hooks/datera/k"),
        ("generic", "https://bus.example/hooks/generic/k"),
        ("channel_key", "https://bus.example/api/v2/telephony/calls/@k"),
        ("partner", "https://bus.example/voip/integration"),
    ],
)
def test_url_to_post_to(provider: str, url: str) -> None:
    assert provider in KEY_KINDS
    assert webhook_url("https://bus.example/", provider, "k") == url
