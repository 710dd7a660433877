"""The requests `tariff` and `tariffs`: what is in force, and what there is."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.app import Answer, Asked, History
from metertwin.apps.tariff.app.answers import TariffListed, TariffNow
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import NotBilledError
from metertwin.apps.tariff.app.notes import basis_of_tariff
from metertwin.apps.tariff.documents import tariff_to_plain
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.schedule import period_indices
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import MeterTwinError

_STEP_US = 60_000_000 * 15
_LOOK_AHEAD = timedelta(days=8)


def answer_tariff(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `tariff`."""
    row = row_of(view, asked)
    tariff = desk.settings.tariff_on(view.meters[row], view.now.date())
    try:
        months = desk.open_months(view, row, history)
        basis, blocks = months.basis(view.now, []), months.blocks()
    except MeterTwinError as error:
        basis, blocks = basis_of_tariff(tariff, -1, view.now, [str(error)]), {}
    document = tariff_to_plain(tariff)
    if not isinstance(tariff.energy, EnergyCharge):
        return Answer(TariffNow(basis, tariff.name, "", None, "", None, document))
    starts_us = np.arange(
        to_us(view.now) // _STEP_US * _STEP_US, to_us(view.now + _LOOK_AHEAD), _STEP_US
    )
    periods = period_indices(tariff.energy.calendar, ZoneInfo(tariff.zone), starts_us)
    names = tariff.energy.calendar.periods
    changes = np.flatnonzero(periods != periods[0])
    name = names[int(periods[0])]
    tiers = tariff.energy.tiers[int(periods[0])]
    return Answer(
        TariffNow(
            basis=basis,
            name=tariff.name,
            period=name,
            price_per_kwh=tiers[max(blocks.get(name, 1), 1) - 1].price_per_kwh,
            next_period=names[int(periods[changes[0]])] if len(changes) else "",
            changes_at=from_us(int(starts_us[changes[0]])) if len(changes) else None,
            document=document,
        )
    )


def answer_tariffs(desk: Desk, view: GroupView, _asked: Asked, _history: History) -> Answer:
    """Answer `tariffs`."""
    counts: dict[tuple[str, int], int] = {}
    for meter in view.meters:
        try:
            tariff = desk.settings.tariff_on(meter, view.now.date())
        except NotBilledError:
            continue
        key = (tariff.id, tariff.version)
        counts[key] = counts.get(key, 0) + 1
    return Answer(
        [
            TariffListed(
                tariff=version.id,
                version=version.version,
                name=version.name,
                currency=version.currency,
                zone=version.zone,
                valid_from=version.valid_from,
                valid_until=version.valid_until,
                meter_count=counts.get((version.id, version.version), 0),
            )
            for versions in desk.settings.versions.values()
            for version in versions
        ]
    )
