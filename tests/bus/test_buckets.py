"""Keys of a bucket: all that are there, every time."""

from tests.bus.test_tail import Connect

from metertwin.bus.buckets import keys_of_stream, keys_under
from metertwin.bus.credentials import Role
from metertwin.bus.subjects import DESIRED_BUCKET
from metertwin.core.ids import GroupId

LOOKS_COUNT = 300


async def test_keys_are_found_at_every_look(connect_as: Connect, group: GroupId) -> None:
    bucket = await (await connect_as(Role.TWIN_HOST)).js.key_value(DESIRED_BUCKET)
    await bucket.put(f"{group}.a", b"1")
    for _ in range(LOOKS_COUNT):
        assert await keys_under(bucket, f"{group}.") == [f"{group}.a"]


async def test_the_stream_knows_the_keys_under_a_prefix_that_are_not_deleted(
    connect_as: Connect, group: GroupId
) -> None:
    bucket = await (await connect_as(Role.TWIN_HOST)).js.key_value(DESIRED_BUCKET)
    for key in ("a", "b", "deleted", "purged", "of.more.parts"):
        await bucket.put(f"{group}.{key}", b"1")
    await bucket.put(f"{group}-other.a", b"1")
    await bucket.delete(f"{group}.deleted")
    await bucket.purge(f"{group}.purged")
    expected = [f"{group}.a", f"{group}.b", f"{group}.of.more.parts"]
    assert sorted(await keys_of_stream(bucket, f"{group}.")) == expected
    assert await keys_under(bucket, f"{group}.") == expected
    assert {*expected, f"{group}-other.a"} <= {*await keys_of_stream(bucket)}
    assert await keys_of_stream(bucket, f"{group}-none.") == []
