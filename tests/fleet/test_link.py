"""The relay that plays a partition."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from metertwin.bus.server import free_port
from metertwin.fleet.local.link import (
    Link,
    LinkError,
    LinkState,
    LinkStateError,
    obey,
    wanted_state,
)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(1024):
        writer.write(octets)
    writer.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    far = await asyncio.start_server(_echo, "127.0.0.1", 0)
    link = Link(free_port(), far.sockets[0].getsockname()[1])
    await link.open()
    yield link
    await link.close()
    far.close()


async def _said(link: Link, text: bytes, within_s: float = 2.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        writer.write(text)
        async with asyncio.timeout(within_s):
            return await reader.read(1024)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_a_whole_link_passes_what_is_said_both_ways(link: Link) -> None:
    assert await _said(link, b"twin") == b"twin"


async def test_a_cut_ends_connections_and_takes_no_new_ones(link: Link) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"before")
    assert await reader.read(1024) == b"before"
    await link.set(LinkState.CUT)
    with pytest.raises((ConnectionError, EOFError)):
        await reader.readexactly(1)
    writer.transport.abort()
    assert await _said(link, b"during") == b""
    await link.set(LinkState.WHOLE)
    assert await _said(link, b"after") == b"after"


async def test_a_silent_link_stands_and_passes_nothing(link: Link) -> None:
    await link.set(LinkState.SILENT)
    with pytest.raises(TimeoutError):
        await _said(link, b"lost", within_s=0.2)
    await link.set(LinkState.WHOLE)
    assert await _said(link, b"after") == b"after"


async def test_a_file_says_how_the_link_shall_be(link: Link, tmp_path: Path) -> None:
    file = tmp_path / "edge1.link"
    keeper = asyncio.create_task(obey(link, file))
    for state in (LinkState.CUT, LinkState.SILENT, LinkState.WHOLE):
        file.write_text(f"{state}\n")
        async with asyncio.timeout(5):
            while link.state is not state:  # noqa: ASYNC110 - the product's state
                await asyncio.sleep(0.01)
    file.write_text("broken")
    with pytest.raises(LinkStateError, match="says 'broken'; it says whole, cut, silent"):
        await keeper
    file.unlink()
    assert wanted_state(file) is LinkState.WHOLE


async def test_a_taken_port_is_named(link: Link) -> None:
    with pytest.raises(LinkError, match=rf"cannot listen on 127\.0\.0\.1:{link.port}: "):
        await Link(link.port, 1).open()


@pytest.mark.parametrize("turns_count", [0, 1, 3, 4, 5])  # in 2 asyncio itself drops it
async def test_who_comes_while_it_ends_is_not_kept(link: Link, turns_count: int) -> None:
    with socket.create_connection(("127.0.0.1", link.port)) as coming:
        for _ in range(turns_count):  # of the loop: it is taken in some of them
            await asyncio.sleep(0)
        await link.close()
        coming.settimeout(0)
        async with asyncio.timeout(2):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(coming, 1) == b""
