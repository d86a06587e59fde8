"""How often the handling of a message failed, and when that makes it poison. Pure."""

from dataclasses import dataclass

# Far more than a consumer ever holds; what is forgotten only starts to count again.
_REMEMBERED = 10_000


@dataclass
class _Record:
    attempts: int = 0
    counted: int = 0
    handled_at_last: int | None = None


class Failures:
    """Attempts per message id; survives lost connections, not the process.

    A failure counts towards poison only with the dependencies healthy. For a `Transient` the sole proof of health is
    that something else could be handled since the message failed last: a full disk answers every probe.
    """

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._records: dict[str, _Record] = {}
        self._handled = 0

    def handled(self, message_id: str) -> None:
        """Note that something was handled."""
        self._handled += 1
        if self._records:
            self._records.pop(message_id, None)

    def forget(self, message_id: str) -> None:
        """Start afresh with a message that went to the dead queue."""
        self._records.pop(message_id, None)

    def failed(self, message_id: str, *, transient: bool, healthy: bool) -> tuple[int, bool]:
        """Note a failure of one message alone; return its attempts so far and whether it is poison now."""
        if len(self._records) >= _REMEMBERED:
            self._records.clear()
        record = self._records.setdefault(message_id, _Record())
        record.attempts += 1
        others_went_through = record.handled_at_last is not None and self._handled > record.handled_at_last
        if others_went_through if transient else healthy:
            record.counted += 1
        record.handled_at_last = self._handled
        return record.attempts, record.counted >= self._tries
