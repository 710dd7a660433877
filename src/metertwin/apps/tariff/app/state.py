"""What the app goes by: accounts, issued bills, edits, payments, prices and events.

Everything that decides a later output is here and nowhere else. Bills lie here as they were issued,
packed, and a month's bills are compressed together once, when they change, so that a checkpoint
costs what changed since the last one.
"""

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import msgspec

from metertwin.apps.app import AppStateError
from metertwin.apps.tariff.app.answers import Revision
from metertwin.apps.tariff.bill import Bill
from metertwin.core.ids import MeterId

STATE_VERSION = 1
MONTHS_KEPT = 3


class Issued(msgspec.Struct, frozen=True, array_like=True):
    """A month's bill as it was last issued.

    Attributes:
        bill: The bill, packed.
        revisions: All issues, ascending.
        unmeasured_us: Runs of intervals that no meter had told when it was rated: start in
            microseconds since 1970 UTC and count.
        carry: What the month before handed to it, by name.
        causes: All besides intervals that the bill follows from, by name.
        span_us: Start and end of the month, microseconds since 1970 UTC.
        period_us: Length of an interval.
        first_us: From when on the meter was billed.
        doubtful_us: Starts of measured intervals that were told to be hardly true.
    """

    bill: bytes
    revisions: list[Revision]
    unmeasured_us: list[tuple[int, int]]
    carry: dict[str, Decimal]
    causes: dict[str, str]
    span_us: tuple[int, int]
    period_us: int
    first_us: int
    doubtful_us: list[int] = []

    def unpacked(self) -> Bill:
        """Return the bill."""
        return msgspec.msgpack.decode(self.bill, type=Bill)


class Account(msgspec.Struct, array_like=True):
    """A meter's place in time.

    Attributes:
        seen_us: When the app first looked at it.
        first_us: Start of the first interval it is billed from; -1: none was billed yet.
        last_month: Last month issued.
        carry: What that month hands on, by name.
        is_touched: Whether intervals came since it was last looked at.
        first_month: The month to be issued first, before any was.
        late: Months to be rated again (YYYY-MM-DD), and which of their intervals came since.
        refused: Why the next month cannot be rated, as last told.
        since: First month issued: from then on credits, peaks and sums of the year count.
        skipped: Months that were not issued as the window had lost them, ascending.
    """

    seen_us: int
    first_us: int = -1
    last_month: date | None = None
    carry: dict[str, Decimal] = {}
    is_touched: bool = True
    first_month: date | None = None
    late: dict[str, set[int]] = {}
    refused: str = ""
    since: date | None = None
    skipped: list[date] = []


class Purse(msgspec.Struct, array_like=True):
    """A prepaid account.

    Attributes:
        opened: Month from which on bills are paid out of it.
        top_ups: Payments by id.
        charged_before_amount: Bills paid that are not kept any more.
        standing: As last told: `ok`, `low` or `exhausted`.
    """

    opened: date
    top_ups: dict[str, Decimal] = {}
    charged_before_amount: Decimal = Decimal(0)
    standing: str = "ok"


class Prices(msgspec.Struct, frozen=True, array_like=True):
    """Real-time prices of a tariff."""

    start_us: int
    period_s: int
    prices_per_kwh: list[Decimal]

    @property
    def end_us(self) -> int:
        """Until when they are known, microseconds since 1970 UTC."""
        return self.start_us + len(self.prices_per_kwh) * self.period_s * 1_000_000


@dataclass(slots=True)
class State:
    """The app's state.

    Attributes:
        months: Issued bills by month and meter, the last months only.
        edits: Plain edits of each meter, by id in the order made.
        edit_count: Edits ever made; gives the next one its id.
        events: Critical peaks called of each tariff, [start, end) in microseconds, ascending.
        run_hours: Hour since 1970 UTC of the last billing run.
    """

    accounts: dict[MeterId, Account] = field(default_factory=dict)
    months: dict[date, dict[MeterId, Issued]] = field(default_factory=dict)
    edits: dict[MeterId, dict[str, dict[str, str | int]]] = field(default_factory=dict)
    edit_count: int = 0
    purses: dict[MeterId, Purse] = field(default_factory=dict)
    prices: dict[str, Prices] = field(default_factory=dict)
    events: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    run_hours: int = -1
    _packed: dict[date, bytes] = field(default_factory=dict)

    def issued(self, month: date, meter: MeterId) -> Issued | None:
        """Return a meter's issued bill of a month, if it is kept."""
        return self.months.get(month, {}).get(meter)

    def issued_of(self, meter: MeterId) -> Iterator[tuple[date, Issued]]:
        """Yield a meter's issued bills, ascending."""
        for month in sorted(self.months):
            if (found := self.months[month].get(meter)) is not None:
                yield month, found

    def since(self, meter: MeterId) -> date | None:
        """Return a meter's first month issued; None: none was."""
        account = self.accounts.get(meter)
        if account is not None and account.since is not None:
            return account.since
        return next((month for month, _ in self.issued_of(meter)), None)

    def issue(self, month: date, meter: MeterId, issued: Issued) -> None:
        """Keep a bill."""
        self.months.setdefault(month, {})[meter] = issued
        self._packed.pop(month, None)

    def forget(self, month: date) -> None:
        """Keep a month's bills no longer; what prepaid accounts paid for them stays counted."""
        for meter, issued in self.months.pop(month).items():
            purse = self.purses.get(meter)
            if purse is not None and purse.opened <= month:
                purse.charged_before_amount += issued.revisions[-1].total
        self._packed.pop(month, None)

    def of(self, meters: Collection[MeterId]) -> "State":
        """Return the state as if there had been these meters only."""
        months = {
            month: {meter: issued for meter, issued in bills.items() if meter in meters}
            for month, bills in self.months.items()
        }
        return State(
            accounts={meter: each for meter, each in self.accounts.items() if meter in meters},
            months={month: bills for month, bills in months.items() if bills},
            edits={meter: each for meter, each in self.edits.items() if meter in meters},
            edit_count=self.edit_count,
            purses={meter: each for meter, each in self.purses.items() if meter in meters},
            prices=dict(self.prices),
            events={tariff: [*events] for tariff, events in self.events.items()},
            run_hours=self.run_hours,
        )

    def pack(self) -> bytes:
        """Return it as bytes; equal states give equal bytes."""
        for month in self.months:
            if month not in self._packed:
                self._packed[month] = _packed_month(self.months[month])
        saved = _Saved(
            accounts=[(meter, self.accounts[meter]) for meter in sorted(self.accounts)],
            months=[(month, self._packed[month]) for month in sorted(self.months)],
            edits=[(meter, self.edits[meter]) for meter in sorted(self.edits)],
            edit_count=self.edit_count,
            purses=[(meter, self.purses[meter]) for meter in sorted(self.purses)],
            prices=sorted(self.prices.items()),
            events=sorted(self.events.items()),
            run_hours=self.run_hours,
        )
        return _ENCODER.encode((STATE_VERSION, saved))

    @classmethod
    def unpack(cls, octets: bytes) -> "State":
        """Return the state of `pack`.

        Raises:
            AppStateError: Another version wrote it, or it is damaged.
        """
        try:
            version, rest = msgspec.msgpack.decode(octets, type=tuple[int, msgspec.Raw])
            if version != STATE_VERSION:
                raise AppStateError(
                    f"The tariff app's state has version {version}, this one reads version "
                    f"{STATE_VERSION}.",
                    version=version,
                )
            saved = msgspec.msgpack.decode(rest, type=_Saved)
            months = {month: _unpacked_month(packed) for month, packed in saved.months}
        except (msgspec.DecodeError, zlib.error, RecursionError) as error:
            raise AppStateError(
                f"The tariff app's state of {len(octets)} bytes cannot be read by version "
                f"{STATE_VERSION}: {error}."
            ) from None
        return cls(
            accounts=dict(saved.accounts),
            months=months,
            edits=dict(saved.edits),
            edit_count=saved.edit_count,
            purses=dict(saved.purses),
            prices=dict(saved.prices),
            events=dict(saved.events),
            run_hours=saved.run_hours,
            _packed=dict(saved.months),
        )


def joined(states: Sequence[State]) -> State:
    """Return one state of several, each of other meters.

    Prices and events count that any of them knows; where another one did not, its issued months are
    rated again. Billing runs again from the earliest of them on, and finds most of it done.
    """
    whole = State(
        edit_count=max(each.edit_count for each in states),
        run_hours=min(each.run_hours for each in states),
    )
    for state in states:
        whole.accounts |= state.accounts
        whole.edits |= state.edits
        whole.purses |= state.purses
        for month, bills in state.months.items():
            whole.months.setdefault(month, {}).update(bills)
        for tariff, prices in state.prices.items():
            known = whole.prices.get(tariff)
            if known is None or known.end_us < prices.end_us:
                whole.prices[tariff] = prices
        for tariff, events in state.events.items():
            whole.events[tariff] = sorted({*whole.events.get(tariff, ()), *events})
    for state in states:
        if (state.prices, state.events) == (whole.prices, whole.events):
            continue
        for month, bills in state.months.items():
            for meter in bills:
                whole.accounts[meter].late.setdefault(month.isoformat(), set())
    return whole


class _Saved(msgspec.Struct, array_like=True):
    accounts: list[tuple[MeterId, Account]]
    months: list[tuple[date, bytes]]
    edits: list[tuple[MeterId, dict[str, dict[str, str | int]]]]
    edit_count: int
    purses: list[tuple[MeterId, Purse]]
    prices: list[tuple[str, Prices]]
    events: list[tuple[str, list[tuple[int, int]]]]
    run_hours: int


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def _packed_month(bills: dict[MeterId, Issued]) -> bytes:
    return zlib.compress(_ENCODER.encode([(meter, bills[meter]) for meter in sorted(bills)]), 6)


def _unpacked_month(octets: bytes) -> dict[MeterId, Issued]:
    whole = zlib.decompress(octets)
    return dict(msgspec.msgpack.decode(whole, type=list[tuple[MeterId, Issued]]))
