"""How a usage file is shown: what is in it, its months, the shape of its day."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.text import Text

from metertwin.cli.show import age, table
from metertwin.core.units import Unit
from metertwin.exchange.bill_summary import BillSummary
from metertwin.exchange.overview import SeriesOverview, overview
from metertwin.exchange.usage_file import EXPORT, REACTIVE_EXPORT, UsageFile, UsageSeries

CHART_ROWS = 6
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_COMPLETE_RATIO = 0.9995  # of a month: less than an interval of 15 min is missing

Plain = dict[str, object]


def usage_plain(file: UsageFile, zone: ZoneInfo) -> Plain:
    """Return what is in a file as plain values, energies as exact decimals."""
    return {
        "zone": str(zone),
        "series": [_series_plain(each, overview(each, zone)) for each in file.series],
        "others": list(file.others),
        "bills": list(file.bills),
        "notes": list(file.notes),
    }


def usage_renderables(file: UsageFile, zone: ZoneInfo) -> Iterator[RenderableType]:
    """Yield tables and charts that show a file."""
    told = [(series, overview(series, zone)) for series in file.series]
    yield table(
        f"Usage, times in {zone}",
        ["meter", "what", "from", "to", "energy", "intervals", "estimated", "gaps"],
        [_series_row(series, seen, zone) for series, seen in told],
    )
    for series, seen in told:
        if seen.months:
            yield _months_table(series, seen)
        if any(mean is not None for mean in seen.hour_means_kw):
            yield Text(f"{_name(series)}: mean power by hour of the day, in kW", style="italic")
            yield Text("\n".join(chart_lines(seen.hour_means_kw)))
    if file.bills:
        yield _bills_table(file.bills, zone)
    if file.others:
        yield table(
            "Not used",
            ["meter", "title", "readings", "why"],
            [[o.meter, o.title, o.interval_count, o.reason] for o in file.others],
        )
    for note in file.notes:
        yield Text(f"note: {note}", style="yellow")


def chart_lines(means_kw: Sequence[float | None]) -> list[str]:
    r"""Return a bar chart of 24 hours, two characters each; an hour without a mean has no bar.

    Example:
        >>> print("\n".join(line[:15] for line in chart_lines([0.0, 0.5, 1.0, None] * 6)))
         1.00 |    ██
              |    ██
              |    ██
              |  ████
              |  ████
              |▁▁████
               0   2
    """
    highest = max((mean for mean in means_kw if mean is not None), default=0.0) or 1.0
    eighths = [
        0 if mean is None else max(1, round(max(mean, 0.0) / highest * CHART_ROWS * 8))
        for mean in means_kw
    ]
    lines = []
    for row in reversed(range(CHART_ROWS)):
        label = f"{highest:5.2f}" if row == CHART_ROWS - 1 else " " * 5
        bars = (_EIGHTHS[min(max(count - row * 8, 0), 8)] * 2 for count in eighths)
        lines.append(f"{label} |{''.join(bars)}")
    hours = "".join(f"{hour:<4}" for hour in range(0, 24, 2))
    return [*lines, f"{'':7}{hours}".rstrip()]


def _name(series: UsageSeries) -> str:
    direction = "export" if series.register.obis in {EXPORT, REACTIVE_EXPORT} else "import"
    return f"{series.meter} {direction}"


def _unit(series: UsageSeries) -> str:
    return "kvarh" if series.register.unit is Unit.VAR_HOUR else "kWh"


def _series_row(series: UsageSeries, seen: SeriesOverview, zone: ZoneInfo) -> list[object]:
    moments = [
        None if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        for moment in (seen.start, seen.end)
    ]
    gaps = f"{seen.gap_count}, {age(seen.gap_s)}" if seen.gap_count else "none"
    direction = _name(series).rpartition(" ")[2]
    return [
        series.meter,
        direction,
        *moments,
        f"{seen.energy_kwh:,f} {_unit(series)}",
        seen.interval_count,
        seen.estimated_count,
        gaps,
    ]


def _months_table(series: UsageSeries, seen: SeriesOverview) -> RenderableType:
    return table(
        f"{_name(series)}: {series.title or 'months'}",
        ["month", _unit(series), "intervals", "estimated", "complete"],
        [
            [
                f"{month.month:%Y-%m}",
                f"{month.energy_kwh:,f}",
                month.interval_count,
                month.estimated_count,
                "yes" if month.covered_ratio >= _COMPLETE_RATIO else f"{month.covered_ratio:.1%}",
            ]
            for month in seen.months
        ],
    )


def _bills_table(bills: Sequence[BillSummary], zone: ZoneInfo) -> RenderableType:
    rows = []
    for bill in bills:
        days = [f"{moment.astimezone(zone):%Y-%m-%d}" for moment in (bill.start, bill.end)]
        amounts = [
            None if amount is None else f"{amount:,.2f} {bill.currency}".strip()
            for amount in (bill.last_total, bill.so_far_total)
        ]
        energy = None if bill.import_wh is None else f"{bill.import_wh / 1000:,f} kWh"
        rows.append([bill.meter, *days, *amounts, energy, len(bill.lines)])
    return table("Bills", ["meter", "from", "to", "bill", "so far", "energy", "lines"], rows)


def _series_plain(series: UsageSeries, seen: SeriesOverview) -> Plain:
    return {
        "meter": series.meter,
        "obis": str(series.register.obis),
        "title": series.title,
        "unit": _unit(series),
        "period_s": series.register.period_s,
        "start": seen.start,
        "end": seen.end,
        "energy": seen.energy_kwh,
        "interval_count": seen.interval_count,
        "estimated_count": seen.estimated_count,
        "doubtful_count": seen.doubtful_count,
        "gap_count": seen.gap_count,
        "gap_s": seen.gap_s,
        "months": [
            {
                "month": month.month,
                "energy": month.energy_kwh,
                "interval_count": month.interval_count,
                "estimated_count": month.estimated_count,
                "covered_ratio": round(month.covered_ratio, 6),
            }
            for month in seen.months
        ],
        "hour_means_kw": [None if mean is None else round(mean, 6) for mean in seen.hour_means_kw],
    }
