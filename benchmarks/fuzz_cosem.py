"""Throws mutated and random octets at every COSEM decoder and at the server.

    .venv/bin/python benchmarks/fuzz_cosem.py --inputs 1000000 --seed 1 --json

Inputs are published APDUs, the requests of a client's day, and their framed and sealed forms, with
octets changed, cut, doubled, spliced; or noise. A decoder must end in a value or an error of the
COSEM tree, a server in an answer; anything else is a finding, printed with the input that made it.
"""

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    ByEntry,
    ByRange,
    CaptureObject,
    MethodDescriptor,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import ApplicationContext, Mechanism
from metertwin.cosem.apdu.get_request import GetRequestNext, GetRequestNormal, GetRequestWithList
from metertwin.cosem.apdu.set_request import SetRequestNormal, SetRequestWithList
from metertwin.cosem.channel import Channel, Wrapping
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.profile import ProfileGeneric, RowSelection
from metertwin.cosem.classes.registers import DataObject, Register
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import Data, array, decode, encode, octets, structure, uint32
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import CosemError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.decoder import HdlcDecoder
from metertwin.cosem.hdlc.frame import HdlcFrame
from metertwin.cosem.profile import read_profile
from metertwin.cosem.profile_columns import read_profile_columns
from metertwin.cosem.security import KeyRing, SecurityControl, protect, unprotect
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import Credentials, LogicalDevice
from metertwin.cosem.server.endpoint import HdlcServerEndpoint, WrapperServer
from metertwin.cosem.wrapper import WrapperDecoder, encode_wrapper

GOLDEN = Path(__file__).parent.parent / "tests" / "cosem" / "golden" / "apdus.json"
KEYS = KeyRing(bytes(range(16)), bytes(range(0xD0, 0xE0)))
CLIENT_TITLE, METER_TITLE = b"FUZ\x00\x00\x00\x00\x01", b"MTW\x00\x00\x00\x00\x01"
PLAIN, LOW, SEALED = 16, 2, 1
CLOCK = CaptureObject(8, Obis(0, 0, 1, 0, 0), 2)
ENERGY = CaptureObject(3, Obis(1, 0, 1, 8, 0), 2)
EDGES = bytes((0, 1, 2, 3, 6, 9, 0x0C, 0x13, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xC0, 0xDB, 0xFF))
FINDINGS_KEPT = 20
# Frames start with this, so a mutated APDU reaches the association behind an intact frame.
LLC = bytes.fromhex("e6e600")


@dataclass(slots=True)
class Tally:
    """What came of the inputs, and the slowest, in ms of this thread's processor time."""

    inputs_count: int = 0
    values_count: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, str]] = field(default_factory=list)
    findings_count: int = 0
    slowest_ms: dict[str, float] = field(default_factory=dict)
    slowest_input: str = ""


class Meter:
    """The state of the fuzzed meter: one value that can be written."""

    def __init__(self) -> None:
        self.written: Data = uint32(7)

    def write(self, value: Data) -> None:
        """Take any value."""
        self.written = value


def profile_rows(row_count: int) -> Data:
    """Return a load profile of three columns, a time in every row."""
    at = octets(bytes.fromhex("07ea031d0704000000ffc400"))
    return array(*[structure(at, uint32(1000 + row), uint32(row)) for row in range(row_count)])


def make_model() -> ObjectModel[Meter]:
    """Return a small meter type: a register, a writable value, a profile longer than an APDU."""
    rows = profile_rows(96).elements()

    def buffer(_: Meter, selection: RowSelection) -> Data:
        last = selection.last_entry or len(rows)
        return array(*rows[max(selection.first_entry - 1, 0) : last])

    return ObjectModel(
        [
            Register[Meter](ENERGY.obis, lambda _: uint32(5009), unit=Unit.WATT_HOUR),
            DataObject[Meter](
                Obis(0, 0, 96, 1, 0),
                lambda meter: meter.written,
                write=Meter.write,
                read_by=Role.PUBLIC,
            ),
            ProfileGeneric[Meter](
                Obis(1, 0, 99, 1, 0),
                [CLOCK, ENERGY, ENERGY],
                buffer,
                entries_in_use=lambda _: len(rows),
                profile_entries_count=len(rows),
                capture_period_s=900,
                read_by=Role.PUBLIC,
            ),
        ],
        [
            Client(PLAIN, Role.MANAGER),
            Client(LOW, Role.READER, Mechanism.LLS),
            Client(SEALED, Role.MANAGER, is_ciphered=True),
        ],
    )


def requests() -> list[bytes]:
    """Return the plain requests of a client's day."""
    profile = AttributeDescriptor(7, Obis(1, 0, 99, 1, 0), 2)
    data = AttributeDescriptor(1, Obis(0, 0, 96, 1, 0), 2)
    energy = AttributeDescriptor(3, ENERGY.obis, 2)
    start = octets(encode_datetime(decode_datetime(bytes.fromhex("07ea031d0700000000000000"))[0]))
    association = AttributeDescriptor(15, Obis(0, 0, 40, 0, 0), 2)
    aarq = ClientAssociation(ClientSettings()).associate().request
    low = ClientAssociation(ClientSettings(Mechanism.LLS, b"12345678")).associate().request
    return [
        aarq,
        low,
        GetRequestNormal(0xC1, energy).encode(),
        GetRequestNormal(0xC1, association).encode(),
        GetRequestNormal(0xC1, profile, ByRange(CLOCK, start, start, (CLOCK, ENERGY))).encode(),
        GetRequestNormal(0xC1, profile, ByEntry(1, 9, 1, 2)).encode(),
        GetRequestNext(0xC1, 1).encode(),
        GetRequestWithList(
            0xC1, (SelectedAttribute(energy), SelectedAttribute(profile, ByEntry(2, 90)))
        ).encode(),
        SetRequestNormal(0xC1, data, structure(uint32(1), octets(bytes(9)))).encode(),
        SetRequestWithList(0xC1, (SelectedAttribute(data),), (uint32(1),)).encode(),
        bytes.fromhex("c102c100010000600100ff0200000000000103090411"),
        bytes.fromhex("c103c1010000000203223344"),
        bytes.fromhex("c304c1000f0000280000ff01000000000103090411"),
        MethodDescriptor(7, Obis(1, 0, 99, 1, 0), 1).encode().join((b"\xc3\x01\xc1", b"\x00")),
        bytes.fromhex("6203800100"),
    ]


class Fuzzer:
    """Makes inputs and runs them through the targets in turn.

    Args:
        seed: Makes a run repeatable.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tally = Tally()
        golden = [bytes.fromhex(case["octets"]) for case in json.loads(GOLDEN.read_text())]
        values = [encode(profile_rows(4)), bytes.fromhex("13020212060c" + "00" * 12)]
        self.requests = requests()
        self.seeds = golden + self.requests + values
        self.sender = Channel(KEYS, CLIENT_TITLE, METER_TITLE)
        self.model = make_model()
        self.targets: dict[str, Callable[[bytes], object]] = {
            "value": decode,
            "apdu": decode_apdu,
            "date-time": lambda noise: decode_datetime(noise[:12].ljust(12, b"\xff")),
            "profile": lambda noise: read_profile(decode(noise)[0], [CLOCK, ENERGY], 900),
            "profile columns": lambda noise: read_profile_columns(
                noise, [CLOCK, ENERGY, ENERGY], 900
            ),
            "unprotect": self.unprotect,
            "channel": lambda noise: Channel(KEYS, METER_TITLE, CLIENT_TITLE).open(noise),
            "client": self.feed_client,
            "wrapper": lambda noise: WrapperDecoder().feed(noise),
            "hdlc": lambda noise: HdlcDecoder().feed(noise),
            "server": lambda noise: self.plain.handle(noise),  # noqa: PLW0108 - `renew` replaces it
            "server, sealed": lambda noise: self.sealed.handle(self.seal(noise)),
            "wrapper server": self.feed_wrapper,
            "hdlc server": self.feed_hdlc,
        }
        self.renew()

    def renew(self) -> None:
        """Put a fresh meter with open associations behind the server targets."""
        credentials = {LOW: Credentials(b"12345678"), SEALED: Credentials(b"", KEYS)}
        device = LogicalDevice(
            self.model, Meter(), system_title=METER_TITLE, credentials=credentials
        )
        self.plain = ServerAssociation(device, PLAIN)
        self.plain.handle(self.requests[0])
        self.sealed = ServerAssociation(device, SEALED)
        request = bytes.fromhex("01000000065f1f0400007e1f0000")
        self.sender.wrapping = self.random.choice(list(Wrapping))
        aarq = Aarq(
            ApplicationContext.LOGICAL_NAME_CIPHERED, self.sender.seal(request), CLIENT_TITLE
        )
        answer = self.sealed.handle(aarq.encode())
        if answer is None or answer[:1] != b"\x61" or self.sealed.state.name != "OPEN":
            sys.exit("The sealed association did not open; its target would test nothing.")
        self.wrapper = WrapperServer({1: device})
        self.hdlc = HdlcServerEndpoint({1: device})
        meter, client = HdlcAddress.server(1), HdlcAddress.client(PLAIN)
        self.hdlc.receive(HdlcFrame(meter, client, 0x93).encode())

    def seal(self, apdu: bytes) -> bytes:
        """Return an APDU as the sealed association expects it; what has no tag stays plain."""
        try:
            return self.sender.seal(apdu)
        except CosemError:
            return apdu

    def unprotect(self, noise: bytes) -> object:
        """Open noise, or well sealed content with octets changed."""
        if self.random.random() < 0.5:
            noise = self.mutate(protect(noise, KEYS, SecurityControl(), CLIENT_TITLE, 1))
        return unprotect(noise, KEYS, CLIENT_TITLE)

    def feed_client(self, noise: bytes) -> object:
        """Answer a client's question with noise."""
        association = ClientAssociation(ClientSettings())
        association.is_open = True
        descriptor = AttributeDescriptor(3, ENERGY.obis, 2)
        return association.get(descriptor).feed(noise)

    def feed_wrapper(self, noise: bytes) -> object:
        """Send noise, or framed noise, to the TCP server."""
        if self.random.random() < 0.8:
            noise = encode_wrapper(self.random.choice((PLAIN, LOW, SEALED)), 1, noise)
        return self.wrapper.receive(noise)

    def feed_hdlc(self, noise: bytes) -> object:
        """Send noise, or framed noise, to the HDLC server."""
        if self.random.random() < 0.8:
            meter, client = HdlcAddress.server(1), HdlcAddress.client(PLAIN)
            control = self.random.choice((0x93, 0x53, 0x10, 0x32, self.random.randrange(256)))
            noise = HdlcFrame(meter, client, control, LLC + noise[:1000]).encode()
        return self.hdlc.receive(noise)

    def mutate(self, octets: bytes) -> bytes:
        """Return octets with one to four changes."""
        choose = self.random
        changed = bytearray(octets)
        for _ in range(choose.randint(1, 4)):
            at = choose.randrange(len(changed) + 1)
            kind = choose.randrange(7)
            if kind == 0 and at < len(changed):
                changed[at] ^= 1 << choose.randrange(8)
            elif kind == 1 and at < len(changed):
                changed[at] = choose.choice(EDGES)
            elif kind == 2:
                del changed[at : at + choose.randint(1, 8)]
            elif kind == 3:
                changed[at:at] = choose.randbytes(choose.randint(1, 8))
            elif kind == 4:
                changed[at:at] = changed[at : at + 40] * choose.randint(1, 6)
            elif kind == 5:
                del changed[at:]
            else:
                other = choose.choice(self.seeds)
                changed[at:] = other[choose.randrange(len(other)) :]
        return bytes(changed)

    def make(self) -> bytes:
        """Return the next input: a mutated seed, rarely an intact one or noise."""
        draw = self.random.random()
        if draw < 0.1:
            return self.random.randbytes(self.random.randrange(300))
        seed = self.random.choice(self.seeds)
        return seed if draw < 0.15 else self.mutate(seed)

    def run(self, inputs_count: int) -> None:
        """Run inputs through the targets in turn and keep the tally."""
        names = list(self.targets)
        for index in range(inputs_count):
            if index % 500 == 499:
                self.renew()
            self.run_one(names[index % len(names)], self.make())

    def run_one(self, name: str, noise: bytes) -> None:
        """Run one input through one target."""
        tally = self.tally
        tally.inputs_count += 1
        began_ns = time.thread_time_ns()
        try:
            self.targets[name](noise)
            tally.values_count += 1
        except CosemError as error:
            tally.errors[error.code] += 1
            if name in {"server", "server, sealed", "hdlc server"}:  # no input may raise here
                self.find(name, noise, error)
            elif name == "wrapper server":
                self.renew()
        except Exception as error:  # noqa: BLE001 - finding whatever else comes is the purpose
            self.find(name, noise, error)
        took_ms = (time.thread_time_ns() - began_ns) / 1e6
        if took_ms > tally.slowest_ms.get(name, 0.0):
            if took_ms > max(tally.slowest_ms.values(), default=0.0):
                tally.slowest_input = f"{name}: {noise[:200].hex()}"
            tally.slowest_ms[name] = took_ms

    def find(self, name: str, noise: bytes, error: Exception) -> None:
        """Keep a finding."""
        self.tally.findings_count += 1
        if len(self.tally.findings) < FINDINGS_KEPT:
            self.tally.findings.append(
                {"target": name, "error": repr(error), "octets": noise.hex()}
            )


def resident_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments.seed)
    # Caches and tables fill in the first inputs; growth counts from then on.
    warm_count = min(20_000, arguments.inputs // 5)
    fuzzer.run(warm_count)
    before_mb = resident_mb()
    began_s = time.monotonic()
    fuzzer.run(arguments.inputs - warm_count)
    rate = (arguments.inputs - warm_count) / max(time.monotonic() - began_s, 1e-9)
    tally = fuzzer.tally
    slowest_ms = max(tally.slowest_ms.values(), default=0.0)
    growth_mb = resident_mb() - before_mb
    rows = [
        row("inputs", None, tally.inputs_count, "inputs"),
        row("ended in a value", None, tally.values_count, "inputs"),
        row("ended in a documented error", None, sum(tally.errors.values()), "inputs"),
        row("other exceptions", 0, tally.findings_count, "inputs"),
        row("slowest input", 50, round(slowest_ms, 3), "ms"),
        row("memory growth", 10, round(growth_mb, 2), "MB"),
        row("speed", None, round(rate), "inputs/s"),
    ]
    if arguments.json:
        print(json.dumps(rows))
    else:
        for line in rows:
            print(f"{line['name']:32} {line['figure']} {line['unit']}")
    details = {
        "errors": dict(tally.errors),
        "slowest_ms": {name: round(ms, 3) for name, ms in tally.slowest_ms.items()},
        "slowest_input": tally.slowest_input,
        "findings": tally.findings,
    }
    print(json.dumps(details, indent=1), file=sys.stderr)
    return 1 if tally.findings_count else 0


def row(name: str, goal: float | None, figure: float, unit: str) -> dict[str, object]:
    ratio = None if not goal else round(figure / goal, 3)
    return {
        "name": f"fuzz_cosem: {name}",
        "goal": goal,
        "figure": figure,
        "unit": unit,
        "ratio": ratio,
        "ok": goal is None or figure <= goal,
    }


if __name__ == "__main__":
    sys.exit(main())
