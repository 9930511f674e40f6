"""Job ids: UUID version 7 (RFC 9562), made by the client so that a repeated add is the same job."""

from __future__ import annotations


def uuid7(unix_ms: int, random_bits: int) -> str:
    """Lay out a UUIDv7 from milliseconds since 1970 and 74 random bits (more are cut)."""
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7000 << 64 | ((random_bits >> 62) & 0xFFF) << 64
    value |= 0x8000_0000_0000_0000 | (random_bits & 0x3FFF_FFFF_FFFF_FFFF)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
