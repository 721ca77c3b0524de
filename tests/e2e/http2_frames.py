"""HTTP/2 frames by hand, for what no client library would send."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4
_INITIAL_WINDOW = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def initial_window(size: int) -> bytes:
    """A SETTINGS frame with the initial window of streams in bytes."""
    return frame(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, size))


def hpack(fields: dict[str, str]) -> bytes:
    """Headers as literals without Huffman coding; pseudo-headers first."""
    found = b""
    for name, value in sorted(fields.items(), key=lambda field: not field[0].startswith(":")):
        found += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return found
