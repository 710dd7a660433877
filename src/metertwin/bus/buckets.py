"""Keys of a bucket, and its failures in our words; the rest is the library's `KeyValue`."""

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
from nats.js.errors import NoKeysError
from nats.js.kv import KeyValue

from metertwin.core.errors import UnavailableError


async def keys_under(bucket: KeyValue, prefix: str = "") -> list[str]:
    """Return the keys that begin with `prefix`, sorted; none is an empty list.

    The library's `keys()` raises when there is none, and its filters are substrings.
    """
    try:
        keys = await bucket.keys()
    except NoKeysError:
        return []
    return sorted(key for key in keys if key.startswith(prefix))


@contextmanager
def bucket_at_hand(doing: str) -> Iterator[None]:
    """Turn what the library raises while the bus is away into UnavailableError.

    Args:
        doing: What was being done, for the sentence, for example "saving the checkpoint of g1".
    """
    try:
        yield
    except (nats.errors.Error, TimeoutError) as error:
        raise UnavailableError(f"The bus did not answer {doing}: {error}.") from error
