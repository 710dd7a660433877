"""Sites whose clocks are hours apart: a group moves all the same, and its twins say the same."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.bus.sites import EDGE, EDGE_GROUP, HUB
from tests.fleet.migration.bench import bench
from tests.fleet.migration.customer import Customer

from metertwin.bus.credentials import Role
from metertwin.core.command import CommandOutcome, CommandStatus


@pytest.mark.parametrize("ahead_hours", [-7, 7])
async def test_a_group_moves_between_clocks_that_are_hours_apart(
    tmp_path: Path, ahead_hours: int
) -> None:
    async with bench(tmp_path, timedelta(hours=ahead_hours)) as at_work:
        client = await at_work.sites.connect(at_work.sites.hub, Role.CLIENT)
        customer = Customer(at_work, client)
        epochs = []
        async with customer.asking():
            for turn, target in enumerate((HUB, EDGE, HUB, EDGE)):
                await at_work.street.publish()
                await at_work.move(target)
                assert await at_work.until_settled() == target
                await customer.until_balanced()
                assert (await customer.command(turn)).status is CommandStatus.ACCEPTED
                epochs.append((await at_work.claim()).epoch)
        assert not customer.refused
        customer.check_answers()
        assert epochs == sorted(set(epochs))
        assert at_work.street.effected == ["c0", "c1", "c2", "c3"]
        twin = await customer.ask("twin", dict, "a")
        assert (twin["epoch"], twin["meter"]) == (epochs[-1], "a")


@pytest.mark.parametrize("ahead_hours", [-7, 7])
async def test_the_interlock_counts_on_over_a_move_to_another_clock(
    tmp_path: Path, ahead_hours: int
) -> None:
    async with bench(tmp_path, timedelta(hours=ahead_hours)) as at_work:
        client = await at_work.sites.connect(at_work.sites.hub, Role.CLIENT)
        customer = Customer(at_work, client)
        said = []
        for turn, target in enumerate((HUB, EDGE) * 3):
            said.append(
                await customer.ask(
                    "command",
                    CommandOutcome,
                    "a",
                    id=f"d{turn}",
                    kind="disconnect",
                    issued_by="test",
                )
            )
            await at_work.move(target)
        assert EDGE_GROUP in said[-1].reason
        accepted = [each for each in said if each.status is CommandStatus.ACCEPTED]
        assert len(accepted) == 5  # of a group's limit of five within an hour
