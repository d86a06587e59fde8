"""The parts of the directory that a reader may ask for: a service loads what it needs and what its role may read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """A set of tables that are loaded together."""

    PEOPLE = "people"
    CHANNELS = "channels"
    KEYS = "keys"
    PARTNERS = "partners"
    ROUTES = "routes"
    TOKENS = "tokens"
    OAUTH = "oauth"
    CONTACTS = "contacts"


TABLES: Final[Mapping[Part, tuple[str, ...]]] = {
    Part.PEOPLE: ("accounts", "locations", "users", "agent_states", "groups", "departments"),
    Part.CHANNELS: ("channels",),
    Part.KEYS: ("channel_keys",),
    Part.PARTNERS: ("partners", "partner_tokens"),
    Part.ROUTES: ("pbx_users", "extensions", "sip_accounts", "routes"),
    Part.TOKENS: ("tokens",),
    Part.OAUTH: ("oauth_clients",),
    Part.CONTACTS: ("contacts",),
}
"""Names of the statements in queries.sql and of the fields of `Rows`."""
