"""The link between sites: encrypted, and only with the hub whose certificate the edge has."""

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from tests.bus.sites import EDGE, EDGE_GROUP, HUB, HUB_GROUP, TwoSites, two_sites

from metertwin.bus.certificate import CERTIFICATE, KEY, ensure_certificate
from metertwin.bus.credentials import Role
from metertwin.bus.place import BusPlace, Edge, Uplink, leaf_seed_name
from metertwin.bus.server import BusServer, free_port
from metertwin.bus.subjects import Kind, subject

_REFUSED_WITHIN_S = 10.0


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[TwoSites]:
    async with two_sites(tmp_path) as sites:
        yield sites


class Tap:
    """A relay that keeps what passes."""

    def __init__(self, to_port: int) -> None:
        self.port, self.seen, self._to_port = 0, bytearray(), to_port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        try:
            await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer))
        finally:
            there_writer.close()
            writer.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while octets := await source.read(65_536):
            self.seen += octets
            target.write(octets)
            await target.drain()


async def test_who_listens_on_the_way_reads_nothing_of_what_passes(tmp_path: Path) -> None:
    leaf_port = free_port()
    place = BusPlace(HUB, (HUB_GROUP,), leaf_port, (Edge(EDGE, (EDGE_GROUP,)),))
    hub = BusServer(tmp_path / "hub", tmp_path / "seeds", place=place)
    await hub.start()
    async with Tap(leaf_port) as tap:
        seed = tmp_path / "seeds" / f"{leaf_seed_name(EDGE)}.seed"
        url = f"nats-leaf://127.0.0.1:{tap.port}"
        uplink = Uplink(url, seed, tmp_path / "seeds" / CERTIFICATE)
        edge = BusServer(
            tmp_path / "edge", tmp_path / "edge-seeds", place=BusPlace(EDGE, uplink=uplink)
        )
        await edge.start()
        sites = TwoSites(hub, edge, None)  # type: ignore[arg-type]  # the tap is the link
        try:
            hears = await sites.connect(hub, Role.API)
            speaks = await sites.connect(edge, Role.TWIN_HOST)
            to = subject(EDGE_GROUP, Kind.STATE)
            heard = await hears.nc.subscribe(to)
            await hears.nc.flush()
            async with asyncio.timeout(20):
                while True:
                    await speaks.say(to, b"what nobody else shall read")
                    try:
                        message = await heard.next_msg(timeout=0.2)
                    except TimeoutError:
                        continue
                    break
            assert message.data == b"what nobody else shall read"
            assert b"tls_required" in tap.seen  # the greeting is in the clear, and nothing after it
            assert b"what nobody else shall read" not in tap.seen
            assert EDGE_GROUP.encode() + b"." not in tap.seen
        finally:
            await sites.close()
            await edge.stop()
            await hub.stop()


async def test_an_edge_does_not_speak_to_a_hub_with_another_certificate(sites: TwoSites) -> None:
    await sites.edge.stop()
    other = sites.edge.directory.parent / "other"
    other.mkdir()
    uplink = sites.edge.place.uplink
    assert uplink is not None
    wrong = Uplink(uplink.url, uplink.seed, ensure_certificate(other, ["127.0.0.1"]))
    sites.edge.place = BusPlace(domain=EDGE, uplink=wrong)
    await sites.edge.start()
    async with asyncio.timeout(_REFUSED_WITHIN_S):
        while b"certificate" not in sites.edge.log.read_bytes():  # noqa: ASYNC110 - the server's
            await asyncio.sleep(0.05)
    assert b"certificate signed by unknown authority" in sites.edge.log.read_bytes()


def test_key_and_certificate_are_made_once_and_private(tmp_path: Path) -> None:
    path = ensure_certificate(tmp_path, ["hub.example", "127.0.0.1"])
    made = path.read_bytes()
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert ensure_certificate(tmp_path, ["127.0.0.1"]).read_bytes() == made
    certificate = x509.load_pem_x509_certificate(made)
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3600)
    # For a name more it is made anew; so it is where it is damaged, or its key is lost.
    assert ensure_certificate(tmp_path, ["other.example"]).read_bytes() != made
    (tmp_path / CERTIFICATE).write_text("nonsense")
    again = ensure_certificate(tmp_path, ["127.0.0.1"]).read_bytes()
    x509.load_pem_x509_certificate(again)
    (tmp_path / KEY).unlink()
    assert ensure_certificate(tmp_path, ["127.0.0.1"]).read_bytes() != again
