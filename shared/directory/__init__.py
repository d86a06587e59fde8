"""The read side of the directory: held whole in memory, kept current. See README.md."""

from shared.directory.errors import DirectoryUnavailable
from shared.directory.model import (
    SCOPES,
    Account,
    AgentState,
    Audience,
    Channel,
    ChannelKey,
    Contact,
    Department,
    Extension,
    Group,
    KeyKind,
    Limits,
    Location,
    Nameless,
    OAuthClient,
    Partner,
    PbxUser,
    Route,
    SipAccount,
    Token,
    User,
)
from shared.directory.parts import Part
from shared.directory.reader import DirectoryReader
from shared.directory.snapshot import Rows, Snapshot

__all__ = [
    "SCOPES",
    "Account",
    "AgentState",
    "Audience",
    "Channel",
    "ChannelKey",
    "Contact",
    "Department",
    "DirectoryReader",
    "DirectoryUnavailable",
    "Extension",
    "Group",
    "KeyKind",
    "Limits",
    "Location",
    "Nameless",
    "OAuthClient",
    "Part",
    "Partner",
    "PbxUser",
    "Route",
    "Rows",
    "SipAccount",
    "Snapshot",
    "Token",
    "User",
]
