"""Association LN (class 15) and SAP assignment (class 17): what a client sees of its own access."""

from collections.abc import Callable, Iterable

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.enumerations import ApplicationContext, Mechanism
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.definition import CosemObject, Role, S, Value
from metertwin.cosem.classes.interface import ASSOCIATION_LN, PROFILE_GENERIC, SAP_ASSIGNMENT
from metertwin.cosem.data import (
    NULL,
    Data,
    array,
    bit_string,
    encode,
    enum,
    int8,
    octets,
    structure,
    uint8,
    uint16,
)

ASSOCIATION_NAME = Obis(0, 0, 40, 0, 0, 255)
"""The association a client is in, whichever it is."""
SAP_ASSIGNMENT_NAME = Obis(0, 0, 41, 0, 0, 255)

MAX_PDU_OCTETS = 0xFFFF
_ASSOCIATED = 2
_DLMS_VERSION = 6
_CONTEXT_NAME = bytes.fromhex("60857405080100")[:-1]
_MECHANISM_NAME = bytes.fromhex("60857405080200")[:-1]
_BY_RANGE, _BY_ENTRY = 1, 2


class AssociationLn(CosemObject[S]):
    """Class 15, Association LN: built by the model for each client.

    Attribute 3, associated_partners_id, names the server's SAP, which the definition cannot know:
    the association answers it. The secret (7) is readable by nobody.
    """

    interface = ASSOCIATION_LN
    __slots__ = ()

    def __init__(self, client: Client, objects: Iterable[CosemObject[S]]) -> None:
        context = ApplicationContext.LOGICAL_NAME
        if client.is_ciphered:
            context = ApplicationContext.LOGICAL_NAME_CIPHERED
        values: dict[int, Value[S]] = {
            2: array(),
            3: NULL,
            4: octets(_CONTEXT_NAME + bytes((context,))),
            5: _context_info(client),
            6: octets(_MECHANISM_NAME + bytes((client.mechanism,))),
            8: enum(_ASSOCIATED),
            9: octets(Obis(0, 0, 43, 0, 0, 255).to_bytes()),
        }
        methods = {1: _answered_by_association} if client.mechanism >= Mechanism.HLS else {}
        super().__init__(
            ASSOCIATION_NAME,
            values,
            methods=methods,
            read_by=Role.PUBLIC,
            write_by=client.role,
        )
        seen = [_object_list_element(client.role, item) for item in (self, *objects)]
        listed = encode(array(*[element for element in seen if element is not None]))
        self.attributes[2] = type(self.attributes[2])(listed, Role.PUBLIC)


def _answered_by_association(_state: object, _parameter: Data) -> Data | None:
    return None  # stands in the table so that the method exists; the association does its work


def _context_info(client: Client) -> Data:
    bits = f"{client.conformance:024b}"
    return structure(
        bit_string(bits),
        uint16(MAX_PDU_OCTETS),
        uint16(MAX_PDU_OCTETS),
        uint8(_DLMS_VERSION),
        int8(0),
        octets(b""),
    )


def _object_list_element(role: Role, item: CosemObject[S]) -> Data | None:
    """Return what the list says of `item`, or None if `role` may do nothing with it."""
    is_writer = role >= item.write_by
    attributes = []
    for number, attribute in item.attributes.items():
        may_read = role >= attribute.read_by
        may_write = is_writer and attribute.write is not None
        selectors = NULL
        if attribute.select is not None and item.interface is PROFILE_GENERIC:
            selectors = array(int8(_BY_RANGE), int8(_BY_ENTRY))
        # access_mode: 0 no access, 1 read only, 2 write only, 3 read and write
        mode = enum(may_read + 2 * may_write)
        attributes.append((mode.value, structure(int8(number), mode, selectors)))
    methods = [structure(int8(number), enum(1)) for number in item.methods] if is_writer else []
    if not methods and not any(mode for mode, _ in attributes):
        return None
    rights = structure(array(*[right for _, right in attributes]), array(*methods))
    return structure(
        uint16(item.interface.class_id),
        uint8(item.interface.version),
        octets(item.obis.to_bytes()),
        rights,
    )


class SapAssignment(CosemObject[S]):
    """Class 17, SAP assignment: the logical devices behind one link.

    Args:
        devices: SAP and logical device name of each, or a function of the state.
    """

    interface = SAP_ASSIGNMENT
    __slots__ = ()

    def __init__(self, devices: dict[int, bytes] | Callable[[S], dict[int, bytes]]) -> None:
        value: Value[S]
        if callable(devices):
            of_state = devices
            value = lambda state: _sap_list(of_state(state))  # noqa: E731 - binds the narrowed name
        else:
            value = _sap_list(devices)
        super().__init__(SAP_ASSIGNMENT_NAME, {2: value}, read_by=Role.PUBLIC)


def _sap_list(devices: dict[int, bytes]) -> Data:
    return array(*[structure(uint16(sap), octets(name)) for sap, name in devices.items()])
