"""Listing the keys of a bucket; the rest of a bucket is the client library's `KeyValue`."""

from nats.js.errors import NoKeysError
from nats.js.kv import KeyValue


async def keys_under(bucket: KeyValue, prefix: str = "") -> list[str]:
    """Return the keys that begin with `prefix`, sorted; none is an empty list.

    The library's `keys()` raises when there is none, and its filters are substrings.
    """
    try:
        keys = await bucket.keys()
    except NoKeysError:
        return []
    return sorted(key for key in keys if key.startswith(prefix))
