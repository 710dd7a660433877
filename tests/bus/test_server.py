"""The server: started, found in use, missing, or without a place to write."""

import socket
import stat
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, SeedError, ensure_seeds, public_key, seed_path
from metertwin.bus.server import BusServer, check_port, find_server
from metertwin.bus.server_config import write_config
from metertwin.bus.server_errors import (
    PortInUseError,
    ServerMissingError,
    ServerStartError,
    StoreError,
)
from metertwin.bus.streams import StreamLimits, ensure_streams
from metertwin.core.errors import RefusedError, UnavailableError


def test_each_role_gets_a_seed_of_its_own_that_only_the_owner_reads(tmp_path: Path) -> None:
    seeds = tmp_path / "secrets" / "bus"
    keys = ensure_seeds(seeds)
    assert set(keys) == set(Role)
    assert len(set(keys.values())) == len(Role)
    assert all(key.startswith("U") and len(key) == 56 for key in keys.values())
    assert stat.S_IMODE(seeds.stat().st_mode) == 0o700
    for role in Role:
        assert stat.S_IMODE(seed_path(seeds, role).stat().st_mode) == 0o600
    assert ensure_seeds(seeds) == keys  # the second start keeps them


def test_a_seed_others_can_read_is_refused(tmp_path: Path) -> None:
    ensure_seeds(tmp_path)
    seed_path(tmp_path, Role.API).chmod(0o640)
    with pytest.raises(SeedError, match=r"api\.seed has mode 0640; others may read it\. Set it to"):
        public_key(seed_path(tmp_path, Role.API))


def test_a_damaged_or_missing_seed_is_named(tmp_path: Path) -> None:
    ensure_seeds(tmp_path)
    seed_path(tmp_path, Role.API).write_bytes(b"SUAnonsense")
    with pytest.raises(SeedError, match=r"api\.seed is damaged; delete it"):
        public_key(seed_path(tmp_path, Role.API))
    with pytest.raises(SeedError, match=r"ghost\.seed cannot be read: No such file"):
        public_key(tmp_path / "ghost.seed")


def test_the_configuration_holds_no_secret_and_no_system_user(tmp_path: Path) -> None:
    text = write_config(tmp_path / "bus", tmp_path / "seeds", 4222).read_text()
    for role in Role:
        assert seed_path(tmp_path / "seeds", role).read_text().strip() not in text
    assert "system_account" not in text
    assert "no_auth_user" not in text
    assert 'listen: "127.0.0.1:4222"' in text


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            PortInUseError,
            match=f"cannot listen on 127.0.0.1:{port}: Address already in use. Stop what listens",
        ):
            check_port(port)


async def test_a_second_bus_on_the_port_does_not_start(
    bus_server: BusServer, tmp_path: Path
) -> None:
    second = BusServer(tmp_path / "bus", tmp_path / "seeds", bus_server.port)
    with pytest.raises(PortInUseError, match=str(bus_server.port)):
        await second.start()
    assert second.pid is None


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_server().name == "nats-server"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ServerMissingError, match="no program nats-server on the PATH"):
        find_server()


async def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "bus").write_text("a file where the directory should be")
    server = BusServer(tmp_path / "bus", tmp_path / "seeds")
    with pytest.raises(StoreError, match=r"cannot write to its directory .*bus: File exists"):
        await server.start()


async def test_a_server_that_ends_while_starting_tells_why(tmp_path: Path) -> None:
    server = BusServer(tmp_path / "bus", tmp_path / "seeds")
    (tmp_path / "bus" / "jetstream").mkdir(parents=True)
    (tmp_path / "bus" / "jetstream" / "jetstream").write_text("no directory")
    with pytest.raises(
        ServerStartError, match=r"ended while starting \(exit code 1\): .*storage dir"
    ):
        await server.start()
    assert server.pid is None


async def test_streams_larger_than_the_store_are_refused(tmp_path: Path) -> None:
    server = BusServer(tmp_path / "bus", tmp_path / "seeds", store_bytes=10_000_000)
    await server.start()
    bus = await connect(server.url, server.seed(Role.ADMIN), "test")
    with pytest.raises(StoreError, match=r"READINGS wants 4294967296 bytes .* lower the stream"):
        await ensure_streams(bus)
    await bus.close()
    await server.stop()


async def test_streams_are_made_once_and_follow_their_limits(own_server: BusServer) -> None:
    bus = await connect(own_server.url, own_server.seed(Role.ADMIN), "test")
    made = (await bus.js.stream_info("READINGS")).created
    await ensure_streams(bus, StreamLimits(readings_age_s=3600.0))
    info = await bus.js.stream_info("READINGS")
    assert info.created == made
    assert info.config.max_age == 3600.0
    assert {each.config.name for each in await bus.js.streams_info()} == {
        "READINGS",
        "EVENTS",
        "COMMANDS",
        "KV_owners",
        "KV_desired",
        "KV_checkpoints",
        "KV_fleet",
    }
    await bus.close()


async def test_nobody_connects_without_a_seed_or_with_another_sites(
    bus_server: BusServer, tmp_path: Path
) -> None:
    ensure_seeds(tmp_path)
    with pytest.raises(RefusedError, match=r"does not know the seed .*gateway\.seed; it was made"):
        await connect(bus_server.url, seed_path(tmp_path, Role.GATEWAY), "stranger")
    nobody = Client()
    with pytest.raises(NatsError, match="Authorization Violation"):
        await nobody.connect(bus_server.url, allow_reconnect=False, error_cb=_silent)
    await nobody.close()


async def test_an_absent_server_is_told_in_one_sentence(tmp_path: Path) -> None:
    ensure_seeds(tmp_path)
    with pytest.raises(UnavailableError, match=r"no bus at nats://127.0.0.1:1 after 0.1 s: .*site"):
        await connect("nats://127.0.0.1:1", seed_path(tmp_path, Role.API), "early", wait_s=0.1)


async def _silent(_error: Exception) -> None: ...
