"""
Small JSON files that carry their own digest as the last key: a byte that was changed is seen.

Without it a flipped bit could turn "keep 30" into "keep 10", or a pin into nothing, and still be JSON.
"""

import hashlib
import json
from collections.abc import Collection
from typing import Final


KEY: Final = "seal"
_PREFIX: Final = b',\n"seal":"'
_SUFFIX: Final = b'"}'
_SEAL_BYTES: Final = len(_PREFIX) + 64 + len(_SUFFIX)


def seal(body: bytes) -> bytes:
    """
    Add the digest of every byte before its own comma.

    Args:
        body: JSON, one object that is not empty.

    Returns:
        The same object with `seal`, and one line break at the end.
    """
    head = body.rstrip().removesuffix(b"}").rstrip()
    return head + _PREFIX + hashlib.sha256(head).hexdigest().encode() + _SUFFIX + b"\n"


def unseal(data: bytes, keys: Collection[str]) -> bytes | None:
    """
    Check the digest and take it off.

    Args:
        data: What `seal` made, byte for byte but for white space after it; or an object without a digest, as an older release or
            somebody by hand has made it.
        keys: What such an object may have: any other may be a damaged `seal`.

    Returns:
        The object; None when it is damaged.
    """
    data = data.rstrip()
    head, end = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    if end == _PREFIX + hashlib.sha256(head).hexdigest().encode() + _SUFFIX:
        return head + b"}"
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(found, dict) and found.keys() <= set(keys) else None
