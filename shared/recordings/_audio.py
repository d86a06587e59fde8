"""What a file is, by its first bytes: names and declared types are the sender's, and often wrong. Pure."""


def audio_type(head: bytes) -> str | None:
    """Return the media type of an mp3, mp4, wav or ogg file that begins with `head`; None where it is none of them."""
    if head.startswith(b"ID3") or _is_mpeg_layer_3(head):
        return "audio/mpeg"
    if head[4:8] == b"ftyp":
        return "audio/mp4"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    return None


def _is_mpeg_layer_3(head: bytes) -> bool:
    """Whether `head` is the header of an MPEG audio frame: eleven bits of sync, then only values that are in use."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, sampling = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate != 15 and sampling != 3
