"""What a meter costs: CPU of a GET in process, and memory of 10,000 meters with open associations.

Run with `--json` for a JSON list of rows. CPU is process time, the best of several rounds, because
on a shared machine everything but the best measures the neighbours.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, CaptureObject
from metertwin.cosem.apdu.enumerations import Mechanism
from metertwin.cosem.apdu.get_request import GetRequestNormal
from metertwin.cosem.channel import Channel
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.clock import Clock
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.profile import CLOCK_COLUMN, ProfileGeneric, RowSelection
from metertwin.cosem.classes.registers import Register
from metertwin.cosem.classes.rows import Column, date_times, encode_rows
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import Tag, octets, uint32
from metertwin.cosem.datetime import encode_datetime
from metertwin.cosem.loopback import ask
from metertwin.cosem.security import KeyRing
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import Credentials, LogicalDevice
from metertwin.cosem.server.endpoint import WrapperServer
from metertwin.cosem.wrapper import encode_wrapper

METERS_COUNT = 10_000
ROUNDS = 7
PLAIN_SAP, CIPHERED_SAP = 3, 1
ENERGY = Obis.parse("1-0:1.8.0")
PROFILE = Obis.parse("1-0:99.1.0")
KEYS = KeyRing(bytes(range(16)), bytes(range(16, 32)))
CAPTURED_AT_S = 1_774_742_400 - 900 * np.arange(95, -1, -1)
STATUS = np.zeros(96, np.uint8)


class MeterState(NamedTuple):
    """One meter: as little as there can be."""

    energy_wh: int
    profile_wh: np.ndarray[Any, np.dtype[np.int64]]


def load_profile(state: MeterState, selection: RowSelection) -> bytes:
    rows = selection.rows(CAPTURED_AT_S)
    return encode_rows(
        [
            Column(Tag.OCTET_STRING, date_times(CAPTURED_AT_S[rows], -60)),
            Column(Tag.UINT8, STATUS[rows]),
            Column(Tag.UINT32, state.profile_wh[rows]),
        ]
    )


def build_model() -> ObjectModel[MeterState]:
    columns = [
        CLOCK_COLUMN,
        CaptureObject(1, Obis.parse("0-0:96.10.1"), 2),
        CaptureObject(3, ENERGY, 2),
    ]
    return ObjectModel[MeterState](
        [
            Clock(lambda _: octets(encode_datetime(datetime.now(UTC)))),
            Register(ENERGY, lambda state: uint32(state.energy_wh), unit=Unit.WATT_HOUR),
            ProfileGeneric(
                PROFILE,
                columns,
                load_profile,
                entries_in_use=lambda _: 96,
                profile_entries_count=96,
                capture_period_s=900,
            ),
        ],
        [
            Client(PLAIN_SAP, Role.READER),
            Client(CIPHERED_SAP, Role.MANAGER, Mechanism.HLS_GMAC, is_ciphered=True),
        ],
    )


def cpu_us(call: Callable[[], object], calls_count: int) -> float:
    """Return process time of one call in us, the best of several rounds."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        started_s = time.process_time()
        for _ in range(calls_count):
            call()
        best_s = min(best_s, time.process_time() - started_s)
    return best_s / calls_count * 1e6


def ciphered_get_us(meter: LogicalDevice[MeterState]) -> float:
    """Return the meter's CPU of a GET that comes and goes authenticated and encrypted."""
    server = ServerAssociation(meter, CIPHERED_SAP)
    channel = Channel(KEYS, b"HES\x00\x00\x00\x00\x01")
    client = ClientAssociation(ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True), channel)
    ask(server, client.associate())
    descriptor = AttributeDescriptor(3, ENERGY, 2)
    requests = iter([client.get(descriptor).request for _ in range(2000 * ROUNDS)])
    return cpu_us(lambda: server.handle(next(requests)), 2000)


def connect(model: ObjectModel[MeterState], number: int, opening: bytes) -> WrapperServer:
    """Return the endpoint of one more meter with an open association."""
    state = MeterState(number, np.arange(96))
    endpoint = WrapperServer({1: LogicalDevice(model, state)})
    endpoint.receive(opening)
    return endpoint


def row(name: str, goal: float, figure: float, unit: str) -> dict[str, object]:
    """Return a row; less is better throughout."""
    return {
        "name": f"cosem_get: {name}",
        "goal": goal,
        "figure": figure,
        "unit": unit,
        "ratio": figure / goal,
        "ok": figure <= goal,
    }


def measure() -> list[dict[str, object]]:
    model = build_model()
    opening = encode_wrapper(PLAIN_SAP, 1, ClientAssociation(ClientSettings()).associate().request)
    connect(model, 0, opening)  # loads what is loaded once
    resident_before = psutil.Process().memory_info().rss
    endpoints = [connect(model, number, opening) for number in range(METERS_COUNT)]
    resident_octets = psutil.Process().memory_info().rss - resident_before

    def question(class_id: int, name: Obis) -> bytes:
        return GetRequestNormal(0xC1, AttributeDescriptor(class_id, name, 2)).encode()

    framed = encode_wrapper(PLAIN_SAP, 1, question(3, ENERGY))
    long_framed = encode_wrapper(PLAIN_SAP, 1, question(7, PROFILE))
    association = ServerAssociation(LogicalDevice(model, MeterState(1, np.arange(96))), PLAIN_SAP)
    association.handle(opening[8:])
    plain = question(3, ENERGY)
    one = endpoints[0]
    keyed = LogicalDevice(
        model, MeterState(1, np.arange(96)), credentials={CIPHERED_SAP: Credentials(keys=KEYS)}
    )
    return [
        row("CPU of a GET, APDU alone", 3, cpu_us(lambda: association.handle(plain), 50_000), "us"),
        row("CPU of a GET with wrapper", 5, cpu_us(lambda: one.receive(framed), 50_000), "us"),
        row("CPU of a ciphered GET", 60, ciphered_get_us(keyed), "us"),
        row(
            "CPU of a profile of 96 rows, 3 columns",
            250,
            cpu_us(lambda: one.receive(long_framed), 500),
            "us",
        ),
        row("memory of 10,000 meters associated", 60, resident_octets / 1e6, "MB"),
        row("memory per meter associated", 6000, resident_octets / METERS_COUNT, "octets"),
    ]


if __name__ == "__main__":
    rows = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps(rows))
    else:
        print(
            Path(__file__).name,
            *(f"{r['name']}: {r['figure']:.3g} {r['unit']}" for r in rows),
            sep="\n",
        )
