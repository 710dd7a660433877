"""Keys of a bucket, and its failures in our words; the rest is the library's `KeyValue`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import nats.errors
from nats.js.errors import KeyNotFoundError, NoKeysError, ServiceUnavailableError
from nats.js.kv import KeyValue

from metertwin.core.errors import UnavailableError


async def keys_under(bucket: KeyValue, prefix: str = "") -> list[str]:
    """Return the keys that begin with `prefix`, sorted; none is an empty list.

    The library's `keys()` raises when there is none, and its filters are substrings. It also raises
    when all keys are on their way while it asks how many are left to send, once in some thousand
    times; then the stream is asked.

    Args:
        bucket: The bucket.
        prefix: Whole parts of a key, each with its dot.
    """
    assert not prefix or prefix.endswith("."), prefix  # or the stream would know of none
    try:
        keys = await bucket.keys()
    except NoKeysError:
        keys = await keys_of_stream(bucket, prefix)
    return sorted(key for key in keys if key.startswith(prefix))


async def keys_of_stream(bucket: KeyValue, prefix: str = "") -> list[str]:
    """Return the same as `keys_under`, unsorted, by a look at each key that ever was."""
    js, before = bucket._js, bucket._pre  # noqa: SLF001 - the library has no other way to them
    stream = await js.stream_info(bucket._stream, f"{before}{prefix}>")  # noqa: SLF001
    keys = []
    for subject in stream.state.subjects or {}:
        key = subject.removeprefix(before)
        with suppress(KeyNotFoundError):  # deleted
            await bucket.get(key)
            keys.append(key)
    return keys


@contextmanager
def bucket_at_hand(doing: str) -> Iterator[None]:
    """Turn what the library raises while the bus is away into UnavailableError.

    Args:
        doing: What was being done, for the sentence, for example "saving the checkpoint of g1".
    """
    try:
        yield
    except ServiceUnavailableError as error:
        if error.description is not None:
            raise UnavailableError(f"The bus cannot serve {doing}: {error.description}.") from error
        raise UnavailableError(
            f"No streams answer {doing}: the bus that keeps them is away, or its link is cut."
        ) from error
    except (nats.errors.Error, TimeoutError) as error:
        raise UnavailableError(f"The bus did not answer {doing}: {error}.") from error
