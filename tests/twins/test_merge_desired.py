"""A host merges what was wished elsewhere: once, told in an event, and under its interlock."""

import asyncio

import pytest
from tests.twins.hosting import Site

from metertwin.bus.credentials import Role
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import InvalidInputError

POWER = 1
# A name of its own: a command's id has the meter in it, and the stream drops an id it knows.
METER = "wished"


def _wish(path: str, value: object, base_version: int, identity: str) -> dict[str, object]:
    ask = {"by": "control room", "id": identity, "origin": "cloud"}
    return {"path": path, "value": value, "ask": ask, "base_version": base_version}


async def _merge(site: Site, *wishes: dict[str, object]) -> dict[str, object]:
    return await site.ask("merge_desired", METER, dict, arguments={"wishes": list(wishes)})


async def _commands_count(site: Site) -> int:
    recorder = await site.connect(Role.RECORDER)
    tail = StreamTail(recorder, COMMAND_STREAM, subjects=[of_group(site.group, Kind.COMMAND)])
    count = sum([len(messages) async for messages in tail.until_now()])
    await tail.close()
    return count


async def test_a_wish_is_merged_once_and_its_conflict_is_told_once(site: Site) -> None:
    async with site.host():
        await site.publish((METER, 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        await site.ask("desired", METER, dict, arguments={"changes": {"limit_w": 3000}})
        wish = _wish("limit_w", 2000, 0, "w1")
        first = await _merge(site, wish)
        assert first == {"version": 2, "desired": {"limit_w": 2000}}
        # Its answer was lost: asked again it changes nothing, commands nothing and tells nothing.
        assert await _merge(site, wish) == first
    async with site.host():
        assert await _merge(site, wish) == first
        async with asyncio.timeout(10):
            while await _commands_count(site) < 2:  # noqa: ASYNC110 - 3000, then 2000
                await asyncio.sleep(0.02)
    _, events = await site.kept()
    (event,) = [event for event in events if event.name == "desired_conflict"]
    assert "at cloud 2000 (control room)" in event.detail
    assert "2000 holds: the lower limit wins" in event.detail
    assert await _commands_count(site) == 2


async def test_a_change_with_an_id_is_one_change_however_often_it_comes(site: Site) -> None:
    async with site.host():
        await site.publish((METER, 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        arguments: dict[str, object] = {"changes": {"limit_w": 3000}, "id": "d1", "origin": "cloud"}
        first = await site.ask("desired", METER, dict, arguments=arguments)
        await site.ask("desired", METER, dict, arguments={"changes": {"limit_w": 4000}})
        again = await site.ask("desired", METER, dict, arguments=arguments)
        assert (first["version"], again) == (1, {"version": 2, "desired": {"limit_w": 4000}})
        # Kept as a wish when its answer was lost, it is still the same change.
        merged = await _merge(site, _wish("limit_w", 3000, 0, "d1"))
        assert merged == again


async def test_a_wish_that_cannot_be_wanted_is_refused_whole(site: Site) -> None:
    async with site.host():
        await site.publish((METER, 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        with pytest.raises(InvalidInputError, match="cannot take colour='red'"):
            await _merge(site, _wish("limit_w", 5, 0, "w1"), _wish("colour", "red", 0, "w2"))
        assert (await site.ask("twin", METER, dict))["desired"] == {}
