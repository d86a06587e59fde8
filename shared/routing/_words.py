"""Lists of people and things in a sentence, short however many they are."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_NAMED: Final = 3
_LONGEST: Final = 60


def short(text: str) -> str:
    """Return `text`, cut where it would drown the sentence."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def listed(items: Sequence[T], name: Callable[[T], str] = str) -> str:
    """Return "Anna", "Anna and Piotr", "Anna, Piotr and Maria" or "Anna, Piotr, Maria and 7 others"."""
    names = [short(name(item)) for item in items[:_NAMED]]
    rest = len(items) - len(names)
    if rest:
        names.append("1 other" if rest == 1 else f"{rest} others")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(noun: str, items: Sequence[T], name: Callable[[T], str] = str) -> str:
    """Return "user 101", "users 101 and 102", or "no user"."""
    if not items:
        return f"no {noun}"
    return f"{noun if len(items) == 1 else noun + 's'} {listed(items, name)}"
