"""Who is asking: an account by its API token, a provider by its channel's key, a PBX vendor by its partner token.

Secrets are looked up by their SHA-256, so no comparison of ours tells by its timing how much of one is right. While the
directory can't settle the question the answer is 503 (`DirectoryUnavailable`), never "no".
"""

from typing import Final

from aiohttp import web

from shared.directory import Channel, DirectoryReader, KeyKind, Partner, Token
from shared.http.problems import Problem, unauthorized

DIRECTORY: Final = web.AppKey("DIRECTORY", DirectoryReader)

_LONGEST_SECRET = 512
# The CRM API documents its token as a query parameter. Nowhere else: URLs end up in other people's logs.
_TOKEN_IN_QUERY_UNDER: Final = "/voip/"  # noqa: S105 - a path, no password


async def account_token(request: web.Request, scope: str | None = None) -> Token:
    """Return the API token that `request` carries, allowed to do `scope`; its account is the only one to serve.

    Taken from `Authorization: Bearer …`, or `?api_token=` under /voip. A token without scopes may do everything.
    Raises `Problem` 401 where there is none or it is unknown, expired or revoked, 403 where its scopes lack `scope`,
    and `DirectoryUnavailable` (503) where the directory is too old to say.
    """
    secret = bearer(request)
    if secret is None and request.path.startswith(_TOKEN_IN_QUERY_UNDER):
        secret = request.query.get("api_token")
    if not secret:
        raise unauthorized("an API token is needed")
    if not _is_sane(secret):
        raise unauthorized("the API token is not valid")
    token = await request.app[DIRECTORY].find_token(secret)
    if token is None or token.kind != "api":
        raise unauthorized("the API token is not valid")
    return _allowed(token, scope)


async def partner_of(request: web.Request) -> Partner:
    """Return the PBX vendor whose token `request` carries; what it may touch is `Partner.may_use`'s to say.

    Raises `Problem` 401 where there is none or it is unknown, expired or revoked, and `DirectoryUnavailable` (503)
    where an unknown one can't be looked up now.
    """
    secret, _ = partner_and_user(request)
    partner = await request.app[DIRECTORY].partner_by_token(secret) if secret and _is_sane(secret) else None
    if partner is None:
        raise unauthorized("Authentication needed.")
    return partner


async def partner_user(request: web.Request, scope: str | None = None) -> Token:
    """Return the user's token beside a PBX vendor's, allowed to do `scope`; its account is the only one to serve.

    Raises as `account_token`. Whether the vendor may act for that account is `partner_of`'s and the caller's to say.
    """
    _, secret = partner_and_user(request)
    token = await request.app[DIRECTORY].find_token(secret) if secret and _is_sane(secret) else None
    if token is None or token.kind != "partner_user":
        raise unauthorized("Authentication needed.")
    return _allowed(token, scope)


async def channel_of_key(request: web.Request, key: str, provider: str, kind: KeyKind = "key") -> Channel:
    """Return the channel of `provider` that `key` names, switched on or off: see `require_enabled`.

    Raises `Problem` 404 for an unknown key (or one of another provider: nothing tells them apart), and
    `DirectoryUnavailable` (503) where an unknown key can't be looked up now.
    """
    channel = await request.app[DIRECTORY].channel_by_key(key, kind) if _is_sane(key) else None
    if channel is None or channel.provider != provider:
        raise Problem(404, detail="no channel has this key", code="unknown_key")
    return channel


def require_enabled(channel: Channel) -> None:
    """Raise `Problem` 403 where the channel is switched off."""
    if not channel.enabled:
        raise Problem(403, detail="this channel is switched off", code="channel_disabled")


def bearer(request: web.Request) -> str | None:
    """Return the secret of `Authorization: Bearer …`, or None."""
    return _credential(request.headers.get("Authorization", ""), "bearer")


def partner_and_user(request: web.Request) -> tuple[str | None, str | None]:
    """Return the secrets of `Authorization: Bearer <partner>, User <user>`, each None where it is missing."""
    first, _, second = request.headers.get("Authorization", "").partition(",")
    return _credential(first, "bearer"), _credential(second, "user")


def _credential(text: str, scheme: str) -> str | None:
    word, _, secret = text.strip().partition(" ")
    return secret.strip() or None if word.lower() == scheme else None


def _allowed(token: Token, scope: str | None) -> Token:
    if scope is not None and token.scopes and scope not in token.scopes:
        raise Problem(403, detail=f"the API token's scopes do not include {scope}", code="scope")
    return token


def _is_sane(secret: str) -> bool:
    """Whether `secret` can be one of ours at all: nothing that can't be hashed or is absurdly long is looked up."""
    return 0 < len(secret) <= _LONGEST_SECRET and secret.isascii() and secret.isprintable()
