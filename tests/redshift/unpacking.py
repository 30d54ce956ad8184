"""What COPY does with a packed object: it unpacks all of it, or the load fails.

COPY is told the packing by GZIP or ZSTD, whatever the name of the object
[D] dg/copy-parameters-file-compression.html.
"""

from __future__ import annotations

import gzip
import zlib

import zstandard

from redshift.s3 import failure


def unpack(packing: str, content: bytes, url: str) -> bytes:
    """Unpack a whole object. Raises SqlError when it is empty, not packed so, cut short, or damaged."""
    try:
        if not content:
            raise EOFError("nothing in it")
        return gzip.decompress(content) if packing == "GZIP" else _unpack_frames(content)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise failure(f"Invalid {packing.lower()} file: {error}", url) from error  # [U] text


def _unpack_frames(content: bytes) -> bytes:
    """Unpack zstd frames that follow each other, as a file of the program zstd may have. A frame without its end is an
    error: the library itself would give what it has, and say nothing."""
    unpacked = []
    while content:
        frame = zstandard.ZstdDecompressor().decompressobj()
        unpacked.append(frame.decompress(content))
        if not frame.eof:
            raise EOFError("zstd frame is cut short")
        content = frame.unused_data
    return b"".join(unpacked)
