"""Object definitions refuse what their class does not have, and share what never changes."""

import pytest

from metertwin.core.errors import ConflictError, InvalidInputError, NotFoundError
from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, CaptureObject
from metertwin.cosem.apdu.enumerations import ActionResult, DataAccessResult
from metertwin.cosem.classes.association import SapAssignment
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.clock import Clock
from metertwin.cosem.classes.control import Limiter
from metertwin.cosem.classes.definition import CosemObject, Role
from metertwin.cosem.classes.image_transfer import ImageSlot
from metertwin.cosem.classes.interface import INTERFACE_CLASSES, REGISTER
from metertwin.cosem.classes.model import ObjectModel, descriptor_octets
from metertwin.cosem.classes.registers import DemandRegister, ExtendedRegister, Register
from metertwin.cosem.classes.setups import PushSetup, SecuritySetup, send_destination
from metertwin.cosem.data import Data, enum, octets, uint16, uint32
from metertwin.cosem.errors import ServiceError

POWER = Obis.parse("1-0:1.7.0")
NOW = octets(bytes(12))
EVERY_KIND: list[CosemObject[int]] = [
    Register(POWER, uint32(1), unit=Unit.WATT),
    ExtendedRegister(POWER, uint32(1), NOW),
    DemandRegister(POWER, uint32(1), uint32(2), NOW, NOW, period_s=900),
    Clock(NOW),
    SapAssignment({1: b"MTW1"}),
    Limiter(AttributeDescriptor(3, POWER, 2), uint32(1), uint32(2), uint32(3)),
    PushSetup([CaptureObject(3, POWER, 2)], send_destination("127.0.0.1:4059")),
    SecuritySetup(enum(3), enum(0), octets(bytes(8))),
]


@pytest.mark.parametrize("item", EVERY_KIND, ids=lambda item: item.interface.name)
def test_every_class_defines_all_its_attributes(item: CosemObject[int]) -> None:
    assert sorted(item.attributes) == list(range(1, len(item.interface.attributes) + 1))
    assert INTERFACE_CLASSES[item.interface.class_id] is item.interface


def test_constants_are_encoded_once_for_all_meters() -> None:
    item = Register[int](POWER, lambda power_w: uint32(power_w + 1), scaler=-3, unit=Unit.WATT)

    # structure of integer -3 and enum 27
    assert item.attributes[3].value == bytes.fromhex("02020ffd161b")
    assert callable(item.attributes[2].value)


def test_an_attribute_the_class_does_not_have_is_refused() -> None:
    class Odd(CosemObject[int]):
        interface = REGISTER

    with pytest.raises(InvalidInputError, match=r"Register .* no attribute or method \[7\]"):
        Odd(POWER, {7: uint16(1)})


def test_names_lead_to_numbers_and_unknown_ones_list_the_known() -> None:
    assert REGISTER.attribute_number("scaler_unit") == 3
    with pytest.raises(NotFoundError, match="it has logical_name, value, scaler_unit"):
        REGISTER.attribute_number("unit")


def test_two_objects_of_one_name_are_refused() -> None:
    register = Register[int](POWER, uint32(1))

    with pytest.raises(ConflictError, match=r"\(3, '1-0:1.7.0\*255'\)"):
        ObjectModel([register, register])
    with pytest.raises(ConflictError, match=r"\[7\]"):
        ObjectModel([register], [Client(7, Role.READER), Client(7, Role.MANAGER)])


def test_a_role_may_do_what_lower_roles_may_and_no_more() -> None:
    def reset(_state: int, _parameter: Data) -> None:
        """Stand for a reset."""

    register = Register(POWER, uint32(1), reset=reset)
    clients = [Client(sap, role) for sap, role in enumerate(list(Role)[:3], start=1)]
    views = ObjectModel([register], clients).views
    value, method = descriptor_octets(3, POWER, 2), descriptor_octets(3, POWER, 1)

    assert [value in views[sap].reads for sap in (1, 2, 3)] == [False, True, True]
    assert [method in views[sap].methods for sap in (1, 2, 3)] == [False, False, True]
    assert views[1].refusal(value) is DataAccessResult.READ_WRITE_DENIED


def test_an_image_that_fails_its_check_is_not_activated() -> None:
    activated: list[bytes] = []
    slot = ImageSlot(
        4,
        verify=lambda image: image.startswith(b"FW"),
        activate=lambda _, image: activated.append(image),
    )
    slot.initiate(b"v2", 6)
    slot.take_block(0, b"XXYY")
    slot.take_block(1, b"ZZ")

    with pytest.raises(ServiceError, match="incomplete or damaged"):
        slot.verify()
    with pytest.raises(ServiceError, match="has not been verified"):
        slot.activate()
    assert activated == []


@pytest.mark.parametrize(
    ("number", "block"), [(0, b"abc"), (1, b"abcd"), (2, b"ab"), (-1, b"abcd")]
)
def test_a_block_that_is_not_part_of_the_image_is_refused(number: int, block: bytes) -> None:
    slot = ImageSlot(4)
    slot.initiate(b"v2", 6)

    with pytest.raises(ServiceError) as refused:
        slot.take_block(number, block)
    assert refused.value.result is ActionResult.DATA_BLOCK_UNAVAILABLE
