"""Where events wait on disk while the broker does not take them. See README.md."""

from services.ingest.journal.entries import Deferred, Entry
from services.ingest.journal.journal import Journal, JournalFull, Unwritable

__all__ = ["Deferred", "Entry", "Journal", "JournalFull", "Unwritable"]
