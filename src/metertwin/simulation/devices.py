"""All meters of a world as logical devices, behind one address each."""

import time
from datetime import datetime
from typing import Any

from metertwin.cosem.classes.association import SapAssignment
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.definition import CosemObject, Role
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.registers import DataObject
from metertwin.cosem.data import octets
from metertwin.cosem.server.device import LogicalDevice
from metertwin.simulation.config import Framing, Security, SimulationConfig
from metertwin.simulation.credentials import (
    CLIENT_SYSTEM_TITLE,
    FIRST_METER_SAP,
    MeterAddress,
    SecretSource,
    clients_of,
)
from metertwin.simulation.device_objects import (
    LOGICAL_DEVICE_NAME,
    device_objects,
    logical_device_name,
    system_title,
)
from metertwin.simulation.energy_objects import energy_objects
from metertwin.simulation.errors import SimulationConfigError
from metertwin.simulation.meter import Meter, Metering
from metertwin.simulation.profile_objects import profile_objects
from metertwin.simulation.world import World

DIRECTORY_SAP = 1
"""The logical device that lists all others; it knows the public client alone."""
_SAP_MAX = {Framing.WRAPPER: 0xFFFF, Framing.HDLC: 0x3FFE}
_COUNTER_EPOCH_S = 1_767_225_600  # 2026-01-01
_COUNTERS_PER_S = 12
_DIRECTORY_CLIENT = Client(16, Role.PUBLIC)


def meter_model(
    config: SimulationConfig, start: datetime, phase_count: int, profile_entries: int
) -> ObjectModel[Meter]:
    """Return the objects of a meter on one or three phases."""
    objects: list[CosemObject[Meter]] = [
        *device_objects(config, start),
        *energy_objects(phase_count),
        *profile_objects(config.zone, profile_entries),
    ]
    return ObjectModel(objects, clients_of(config.security))


class MeterDevices:
    """The logical devices of a world.

    Args:
        world: The world.

    Attributes:
        meters: By row.
        by_sap: Every logical device. (Any: the directory's state is not a meter.)

    Raises:
        SimulationConfigError: There are more meters than the framing has addresses.
    """

    def __init__(self, world: World) -> None:
        config, street = world.config, world.street
        _check_addresses(config.framing, street.meter_count)
        entries = world.profiles.capacity
        models = {phases: meter_model(config, world.now, phases, entries) for phases in (1, 3)}
        shared = Metering(world)
        self._world = world
        self._secrets = SecretSource(
            config.seed, is_random=config.is_secret_random, secret=config.secret
        )
        self.meters = [Meter(shared, row) for row in range(street.meter_count)]
        self.by_sap: dict[int, LogicalDevice[Any]] = {DIRECTORY_SAP: self._directory()}
        first_counter = _first_counter() if config.secret else 1
        for meter, is_three_phase in zip(self.meters, street.is_three_phase, strict=True):
            sap = FIRST_METER_SAP + meter.row
            meter.device = LogicalDevice(
                models[3 if is_three_phase else 1],
                meter,
                sap=sap,
                system_title=system_title(meter.row),
                credentials=self._secrets.credentials(meter.id, config.security),
                invocation_counter=first_counter,
            )
            self.by_sap[sap] = meter.device

    def is_answering(self, sap: int) -> bool:
        """Whether the device at a SAP answers; an unknown one is the endpoint's business."""
        row = sap - FIRST_METER_SAP
        return not 0 <= row < len(self.meters) or self.meters[row].is_answering

    def addresses(self, host: str, port: int) -> list[MeterAddress]:
        """Return where each meter is and its secrets."""
        return [self._address(meter, host, port) for meter in self.meters]

    def _address(self, meter: Meter, host: str, port: int) -> MeterAddress:
        config, street = self._world.config, self._world.street
        security = config.security
        is_high = security is Security.HIGH
        keys = self._secrets.keys(meter.id) if is_high else None
        return MeterAddress(
            meter=meter.id,
            group=street.group_ids[street.feeder[meter.row]],
            host=host,
            port=port,
            framing=config.framing,
            server_sap=FIRST_METER_SAP + meter.row,
            client_sap=clients_of(security)[-1].sap,
            security=security,
            serial=meter.serial,
            system_title=system_title(meter.row),
            client_system_title=CLIENT_SYSTEM_TITLE,
            password=self._secrets.password(meter.id) if security is Security.LOW else b"",
            encryption_key=keys.encryption_key if keys else b"",
            authentication_key=keys.authentication_key if keys else b"",
            is_transformer=meter.row >= street.homes.count,
        )

    def _directory(self) -> LogicalDevice[None]:
        def listed(_state: None) -> dict[int, bytes]:
            saps = (FIRST_METER_SAP + meter.row for meter in self.meters)
            return dict(zip(saps, map(logical_device_name, self.meters), strict=True))

        objects: list[CosemObject[None]] = [
            DataObject(LOGICAL_DEVICE_NAME, octets(b"MTW-DIRECTORY-01"), read_by=Role.PUBLIC),
            SapAssignment(listed),
        ]
        return LogicalDevice(ObjectModel(objects, [_DIRECTORY_CLIENT]), None, sap=DIRECTORY_SAP)


def _first_counter() -> int:
    """Return an invocation counter above all that an earlier process used with the same keys.

    A counter used twice with one key breaks the cipher, and nothing is kept over a restart; so it
    starts from the time, at a rate above what one meter answers for long, until 2036.
    """
    return int((time.time() - _COUNTER_EPOCH_S) * _COUNTERS_PER_S) + 1


def _check_addresses(framing: Framing, meter_count: int) -> None:
    room = _SAP_MAX[framing] - FIRST_METER_SAP + 1
    if meter_count > room:
        raise SimulationConfigError(
            f"{meter_count} meters, those of transformers included, need as many addresses; "
            f"{framing.value} has {room}. Simulate fewer, or in a second process.",
            meter_count=meter_count,
            room=room,
        )
