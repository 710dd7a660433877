from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.cosem.datetime import ClockStatus, decode_datetime, encode_datetime
from metertwin.cosem.errors import DecodeError, EncodeError

BERLIN = ZoneInfo("Europe/Berlin")


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive by hypothesis' rule
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
)
def test_an_instant_reads_back_from_any_zone(moment: datetime, name: str) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 10_000 * 10_000)
    assert decode_datetime(encode_datetime(moment, ZoneInfo(name))).moment == moment


@given(st.binary(min_size=12, max_size=12))
def test_any_twelve_octets_are_an_instant_or_a_decode_error(octets: bytes) -> None:
    try:
        time = decode_datetime(octets, BERLIN)
    except DecodeError:
        return
    assert time.moment.tzinfo is UTC


def test_captured_deviation_of_utc_plus_one() -> None:
    # FFC4 is -60: UTC = local - 60 min, so 14:48:57 local is 13:48:57 UTC. 0x50 hundredths = 80.
    captured = bytes.fromhex("07e50118ff0e303950ffc400")
    moment, status = decode_datetime(captured)
    assert moment == datetime(2021, 1, 24, 13, 48, 57, 800_000, tzinfo=UTC)
    assert status == ClockStatus.NONE


def test_summer_time_sets_its_bit_and_deviation() -> None:
    # July in Berlin: UTC+2, deviation -120 = FF88, status bit 7; 2026-07-01 is a Wednesday (3).
    octets = encode_datetime(datetime(2026, 7, 1, 10, 30, tzinfo=UTC), BERLIN)
    assert octets.hex() == "07ea0701030c1e0000ff8880"


def test_unspecified_deviation_needs_a_zone_and_the_bit_tells_the_repeated_hour() -> None:
    # 2026-10-25 02:30 happens twice in Berlin: at 00:30 UTC in summer time, at 01:30 UTC after it.
    first = bytes.fromhex("07ea0a19ff021e00ff800080")
    second = first[:-1] + b"\x00"
    assert decode_datetime(first, BERLIN).moment == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert decode_datetime(second, BERLIN).moment == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    with pytest.raises(DecodeError, match="configure the meter's zone"):
        decode_datetime(first)


def test_unspecified_parts() -> None:
    base = "07ea0a19ff0cffffff000000"
    assert decode_datetime(bytes.fromhex(base)).moment == datetime(2026, 10, 25, 12, tzinfo=UTC)
    assert decode_datetime(bytes.fromhex(base[:-2] + "ff")).status is None
    for pattern in ("ffff0a19ff0c0000", "07eaff19ff0c0000", "07ea0afeff0c0000", "07ea0a19ffff0000"):
        with pytest.raises(DecodeError, match="is no instant"):
            decode_datetime(bytes.fromhex(pattern + "00" + "000000"))
    with pytest.raises(DecodeError, match="12 octets, here are 11"):
        decode_datetime(bytes(11))


def test_impossible_times_are_refused() -> None:
    with pytest.raises(EncodeError, match="has no zone"):
        encode_datetime(datetime(2026, 1, 1))  # noqa: DTZ001 - the missing zone is the point
    with pytest.raises(EncodeError, match="no local time"):
        encode_datetime(datetime(9999, 12, 31, 23, 30, tzinfo=UTC), timezone(timedelta(hours=1)))
