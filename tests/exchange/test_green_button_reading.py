"""Green Button files of others: what is read of them, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.exchange.green_button import read_green_button
from metertwin.exchange.usage_file import EXPORT, IMPORT, UsageFileError

SAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<ns1:feed xmlns:ns1="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">
<ns1:entry>
 <ns1:link rel="self" href="https://x.example/espi/RetailCustomer/5/UsagePoint/A.1"/>
 <ns1:link rel="up" href="https://x.example/espi/1_1/resource/RetailCustomer/5/UsagePoint"/>
 <ns1:link rel="related" href="/espi/RetailCustomer/5/UsagePoint/A.1/MeterReading"/>
 <ns1:content><e:UsagePoint><e:ServiceCategory/></e:UsagePoint></ns1:content>
</ns1:entry>
<ns1:entry>
 <ns1:link rel="self" href="/espi/RetailCustomer/5/UsagePoint/A.1/MeterReading/1"/>
 <ns1:link rel="up" href="/espi/RetailCustomer/5/UsagePoint/A.1/MeterReading"/>
 <ns1:link rel="related" href="/espi/RetailCustomer/5/UsagePoint/A.1/MeterReading/1/IntervalBlock"/>
 <ns1:link rel="related" href="/espi/1_1/resource/ReadingType/7"/>
 <ns1:title>Hourly</ns1:title><ns1:content><e:MeterReading/></ns1:content>
</ns1:entry>
<ns1:entry><ns1:link rel="self" href="/espi/1_1/resource/ReadingType/7"/>
 <ns1:content><e:ReadingType><e:accumulationBehaviour>4</e:accumulationBehaviour>
  <e:flowDirection>{flow}</e:flowDirection><e:intervalLength>3600</e:intervalLength>
  <e:powerOfTenMultiplier>-3</e:powerOfTenMultiplier><e:uom>{uom}</e:uom></e:ReadingType></ns1:content>
</ns1:entry>
<ns1:entry>
 <ns1:link rel="up" href="/espi/RetailCustomer/5/UsagePoint/A.1/MeterReading/1/IntervalBlock"/>
 <ns1:content>
  <e:IntervalBlock><e:interval><e:start>3600</e:start></e:interval>{readings}</e:IntervalBlock>
  <e:IntervalBlock><e:interval><e:duration>3600</e:duration><e:start>18000</e:start></e:interval>
   <e:IntervalReading><e:value>9</e:value></e:IntervalReading>
   <e:IntervalReading><e:value>8</e:value></e:IntervalReading></e:IntervalBlock>
 </ns1:content>
</ns1:entry>
</ns1:feed>"""
READING = (
    "<e:IntervalReading><e:timePeriod><e:duration>{1}</e:duration><e:start>{0}</e:start>"
    "</e:timePeriod><e:value>{2}</e:value></e:IntervalReading>\n"
)


def sample(*readings: tuple[object, object, object], flow: int = 1, uom: int = 72) -> bytes:
    text = "".join(READING.format(*each) for each in readings)
    return SAMPLE.format(flow=flow, uom=uom, readings=text).encode()


def test_blocks_of_one_content_readings_without_time_and_other_prefixes_are_read() -> None:
    file = read_green_button(sample((7200, 3600, 5), (3600, 3600, 4)))
    (series,) = file.series
    assert (series.meter, series.title) == ("A1", "Hourly")
    assert series.register[:3] == (IMPORT, 30, -3)
    # The last two have no time: they begin with their block and last `intervalLength` each.
    assert (series.intervals.start_us // 1_000_000).tolist() == [3600, 7200, 18_000, 21_600]
    assert series.intervals.gain.tolist() == [4, 5, 9, 8]
    assert series.intervals.length_s.tolist() == [3600] * 4


def test_energy_fed_in_is_another_register() -> None:
    assert read_green_button(sample(flow=19)).series[0].register.obis == EXPORT


@pytest.mark.parametrize(
    ("flow", "uom", "reason"),
    [
        (1, 38, "its unit W (uom 38) is not supported"),
        (1, 999, "its unit unknown (uom 999) is not supported"),
        (4, 72, "its direction 4 is neither drawn (1) nor fed in (19)"),
    ],
)
def test_what_is_no_energy_is_told_and_not_used(flow: int, uom: int, reason: str) -> None:
    file = read_green_button(sample((3600, 3600, 4), flow=flow, uom=uom))
    assert file.series == []
    assert [(each.reason, each.interval_count) for each in file.others] == [(reason, 3)]


def test_negative_energies_are_net_and_not_used() -> None:
    (other,) = read_green_button(sample((3600, 3600, -4))).others
    assert other.reason == "it has negative energies, so it is net of what was fed in"


def test_what_is_told_twice_alike_counts_once_with_a_note() -> None:
    file = read_green_button(sample((3600, 3600, 4), (3600, 3600, 4)))
    assert file.series[0].intervals.gain.tolist() == [4, 9, 8]
    assert file.notes == [
        "Took 1 intervals of the MeterReading at line 9 once that it tells twice."
    ]


def test_overlaps_and_nonsense_are_told_together() -> None:
    octets = sample((3600, 3600, 4), (3600, 3600, 5), ("soon", 3600, 1), (0, 0, 1), (1, 1, "1e3"))
    with pytest.raises(UsageFileError) as caught:
        read_green_button(octets, "usage.xml")
    text = str(caught.value)
    assert text.startswith("usage.xml: the IntervalReading that ends at line 26 has start 'soon'")
    assert "line 27 has start '0', duration '0'" in text
    assert "value '1e3'" in text
    assert (
        "the interval from 1970-01-01T01:00:00+00:00 of 3600 s with 4 counts and that from "
        "1970-01-01T01:00:00+00:00 of 3600 s with 5 counts overlap or contradict each other"
    ) in text


def test_more_than_twenty_problems_are_counted() -> None:
    with pytest.raises(UsageFileError, match="; and 5 more"):
        read_green_button(sample(*[("x", n, n) for n in range(25)]))


@pytest.mark.parametrize(
    ("prologue", "words"),
    [
        ('<!DOCTYPE feed [<!ENTITY a "aaaa">]>', "has a document type or entities"),
        ('<!DOCTYPE feed SYSTEM "file:///etc/passwd">', "has a document type or entities"),
    ],
)
def test_a_document_type_is_refused(prologue: str, words: str) -> None:
    octets = sample().replace(b"?>\n", b"?>\n" + prologue.encode(), 1)
    for each in (octets, octets.decode().replace("UTF-8", "UTF-16").encode("utf-16")):
        with pytest.raises(UsageFileError, match=words):
            read_green_button(each)


def test_deep_nesting_and_other_documents_are_refused() -> None:
    with pytest.raises(UsageFileError, match="nests elements more than 64 deep"):
        read_green_button(b"<feed>" + b"<a>" * 100_000)
    with pytest.raises(UsageFileError, match="begins with <html>"):
        read_green_button(b"<html/>")
    with pytest.raises(UsageFileError, match="no element found at line 1"):
        read_green_button(b"")
    with pytest.raises(UsageFileError, match="there is no UsagePoint in it"):
        read_green_button(b"<feed/>")


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
def test_encodings_of_real_files_are_read(encoding: str) -> None:
    text = sample().decode().replace("Hourly", "Zähler").replace("UTF-8", encoding)
    assert read_green_button(text.encode(encoding)).series[0].title == "Zähler"


def test_another_encoding_is_refused_with_its_name() -> None:
    with pytest.raises(UsageFileError, match="is declared to be UTF-7; save it as UTF-8"):
        read_green_button(sample().replace(b"UTF-8", b"UTF-7"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_usage_or_the_documented_error(octets: bytes) -> None:
    read_or_refuse(octets)
    read_or_refuse(b"<feed xmlns='http://www.w3.org/2005/Atom'>" + octets)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_any_damage_to_a_valid_file_is_usage_or_the_documented_error(data: st.DataObject) -> None:
    octets = bytearray(sample((7200, 3600, 5), (3600, 3600, 4)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        length = data.draw(st.integers(0, 40))
        piece = data.draw(
            st.sampled_from([b"", b"<", b"-", b"9" * 17, b"</ns1:entry>", b"\xff", b"&x;", b"<a>"])
            | st.binary(max_size=4)
        )
        octets[at : at + length] = piece
    read_or_refuse(bytes(octets))


def read_or_refuse(octets: bytes) -> None:
    try:
        file = read_green_button(octets)
    except UsageFileError as error:
        assert len(str(error)) < 10_000  # noqa: PT017  the message is the point
    else:
        for series in file.series:
            assert (np.diff(series.intervals.start_us) > 0).all()
