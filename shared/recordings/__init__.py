"""The store of recordings, on a local disk or in a bucket, and the links to what is in it. See README.md."""

from shared.recordings._audio import audio_type
from shared.recordings._links import Links
from shared.recordings._store import Found, Recordings, Upload
from shared.recordings.errors import ExpiredLink, InvalidLink, NoRecording, RecordingsUnavailable, TooLarge

__all__ = [
    "ExpiredLink",
    "Found",
    "InvalidLink",
    "Links",
    "NoRecording",
    "Recordings",
    "RecordingsUnavailable",
    "TooLarge",
    "Upload",
    "audio_type",
]
