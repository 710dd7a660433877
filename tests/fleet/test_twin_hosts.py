"""The record of a site's twin hosts."""

from pathlib import Path

from metertwin.fleet.local.twin_hosts import TwinHostEntry, TwinHosts
from metertwin.fleet.runtimes.spec import Limits

TIGHT = TwinHostEntry("metertwin:next", Limits(memory_bytes=1_000))


def test_what_runs_is_written_down_before_and_forgotten_after(tmp_path: Path) -> None:
    hosts = TwinHosts(tmp_path / "twin-hosts.json", ("twin-host",))
    assert hosts.all() == {"twin-host": TwinHostEntry()}
    hosts.note("twin-host", TwinHostEntry())
    hosts.note("twin-host-2", TIGHT)
    assert list(hosts.all()) == ["twin-host", "twin-host-2"]
    hosts.note("twin-host", TwinHostEntry())  # it runs so already
    assert list(hosts.all()) == ["twin-host", "twin-host-2"]
    hosts.note("twin-host", TwinHostEntry("metertwin:third"))
    assert list(hosts.all()) == ["twin-host-2", "twin-host"]
    hosts.forget("twin-host")
    assert hosts.all() == {"twin-host-2": TIGHT}
    hosts.forget("twin-host-2")
    assert hosts.all() == {"twin-host": TwinHostEntry()}  # a site does not go without


def test_a_share_that_is_new_is_started_beside_those_that_ran(tmp_path: Path) -> None:
    file = tmp_path / "twin-hosts.json"
    TwinHosts(file, ("twin-host_f_1",)).note("twin-host-2_f_1", TIGHT)
    grown = TwinHosts(file, ("twin-host_f_1", "twin-host_f_2"))
    assert grown.all() == {"twin-host-2_f_1": TIGHT, "twin-host_f_2": TwinHostEntry()}
