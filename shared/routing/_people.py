"""The users of one account, and who of them may be shown calls at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shared.directory.model import Audience, User
from shared.directory.snapshot import Snapshot
from shared.routing._words import listed


class Reached(NamedTuple):
    """Users that were named: those with access to telephony, ascending; `without` it the others of the account."""

    users: tuple[int, ...]
    without: tuple[int, ...] = ()


class People:
    """Looks people up in one account; whoever is of another does not exist."""

    __slots__ = ("_account_id", "_directory")

    def __init__(self, directory: Snapshot, account_id: int) -> None:
        self._directory = directory
        self._account_id = account_id

    def reach(self, user_ids: Iterable[int], group_ids: Iterable[int] = ()) -> Reached:
        """Return whom these users and the members of these groups are."""
        wanted = set(user_ids)
        for group_id in group_ids:
            group = self._directory.groups.get(group_id)
            if group is not None and group.account_id == self._account_id:
                wanted.update(group.user_ids)
        users: list[int] = []
        without: list[int] = []
        for user_id in sorted(wanted):
            user = self._user(user_id)
            if user is not None:
                (users if user.telephony else without).append(user_id)
        return Reached(tuple(users), tuple(without))

    def everyone(self) -> Reached:
        return Reached(self._directory.telephony_of.get(self._account_id, ()))

    def fallback(self) -> Reached | None:
        """Return who is shown calls when nobody else can be; None where that is not configured."""
        account = self._directory.accounts.get(self._account_id)
        return None if account is None or account.fallback is None else self.audience(account.fallback)

    def audience(self, configured: Audience) -> Reached:
        return self.reach(configured.user_ids, configured.group_ids)

    def all_disturbed(self, user_ids: tuple[int, ...]) -> bool:
        """Whether there is somebody among `user_ids`, but nobody who isn't in do-not-disturb."""
        disturbed = self._directory.do_not_disturb_of.get(self._account_id, frozenset())
        return 0 < len(user_ids) <= len(disturbed) and disturbed.issuperset(user_ids)

    def names(self, user_ids: tuple[int, ...]) -> str:
        """Return "Anna Nowak and Piotr Zieliński"."""
        return listed(user_ids, lambda user_id: self._directory.users[user_id].name)

    def _user(self, user_id: int) -> User | None:
        user = self._directory.users.get(user_id)
        return user if user is not None and user.account_id == self._account_id else None
