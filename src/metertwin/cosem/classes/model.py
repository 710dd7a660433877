"""The objects of one type of meter, prepared once for all meters of the type.

For every client the model keeps a flat table from the nine octets a GET names an attribute with
to its constant octets or its function. That table is the whole cost of a read in the usual case:
10,000 meters share it, and no object is looked up, checked or encoded per request.
"""

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Generic, TypeAlias

from metertwin.core.errors import ConflictError
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.classes.association import ASSOCIATION_NAME, AssociationLn
from metertwin.cosem.classes.client import USUAL_CLIENTS, Client
from metertwin.cosem.classes.definition import (
    Answer,
    Attribute,
    CosemObject,
    Invoke,
    S,
    Select,
    Write,
)

DescriptorOctets: TypeAlias = bytes
"""class_id (2), logical name (6), attribute or method number (1): as in every request."""

_DESCRIPTOR = Struct(">H6sb")


def descriptor_octets(class_id: int, obis: Obis, number: int) -> DescriptorOctets:
    """Return the nine octets that name an attribute or a method."""
    return _DESCRIPTOR.pack(class_id, obis.to_bytes(), number)


PARTNERS = descriptor_octets(15, ASSOCIATION_NAME, 3)
"""The one attribute that depends on the association and not on the meter."""
REPLY_TO_HLS = descriptor_octets(15, ASSOCIATION_NAME, 1)
"""The method by which both sides of a high-level authentication prove themselves."""


class ClientView(Generic[S]):
    """What one client may do with the objects of a model.

    Attributes:
        client: The client.
        reads: Constant octets, or the function to call, of every attribute it may read.
        selects: Selective access, of every attribute it may read that has it.
        writes: What setting does, of every attribute it may set.
        methods: Every method it may invoke.
    """

    __slots__ = ("_class_ids", "client", "methods", "reads", "selects", "writes")

    def __init__(self, client: Client, objects: Iterable[CosemObject[S]]) -> None:
        self.client = client
        self.reads: dict[DescriptorOctets, bytes | Callable[[S], Answer]] = {}
        self.selects: dict[DescriptorOctets, Select[S]] = {}
        self.writes: dict[DescriptorOctets, Write[S]] = {}
        self.methods: dict[DescriptorOctets, Invoke[S]] = {}
        self._class_ids: dict[bytes, int] = {}
        for item in objects:
            self._add(item)
        self.reads.pop(PARTNERS, None)

    def refusal(self, descriptor: DescriptorOctets) -> DataAccessResult:
        """Return why what is in none of the tables is refused."""
        class_id = self._class_ids.get(descriptor[2:8])
        if class_id is None:
            return DataAccessResult.OBJECT_UNDEFINED
        if class_id != int.from_bytes(descriptor[:2], "big"):
            return DataAccessResult.OBJECT_CLASS_INCONSISTENT
        return DataAccessResult.READ_WRITE_DENIED

    def _add(self, item: CosemObject[S]) -> None:
        class_id = item.interface.class_id
        self._class_ids[item.obis.to_bytes()] = class_id
        is_writer = self.client.role >= item.write_by
        for number, attribute in item.attributes.items():
            self._add_attribute(
                descriptor_octets(class_id, item.obis, number), attribute, is_writer=is_writer
            )
        if is_writer:
            for number, invoke in item.methods.items():
                self.methods[descriptor_octets(class_id, item.obis, number)] = invoke

    def _add_attribute(
        self, key: DescriptorOctets, attribute: Attribute[S], *, is_writer: bool
    ) -> None:
        if self.client.role >= attribute.read_by:
            self.reads[key] = attribute.value
            if attribute.select is not None:
                self.selects[key] = attribute.select
        if is_writer and attribute.write is not None:
            self.writes[key] = attribute.write


class ObjectModel(Generic[S]):
    """All objects of a meter type and what each client sees of them.

    Args:
        objects: The objects, but for Association LN, which is added for each client.
        clients: Who may associate.

    Raises:
        ConflictError: Two objects have one class and logical name, or two clients one SAP.

    Example:
        >>> from metertwin.cosem.classes.registers import Register
        >>> from metertwin.cosem.data import uint32
        >>> energy = Register[int](Obis.parse("1-0:1.8.0"), lambda state_wh: uint32(state_wh))
        >>> ObjectModel([energy]).views[16].refusal(descriptor_octets(3, energy.obis, 2)).name
        'READ_WRITE_DENIED'
    """

    __slots__ = ("objects", "views")

    def __init__(
        self, objects: Iterable[CosemObject[S]], clients: Iterable[Client] = USUAL_CLIENTS
    ) -> None:
        self.objects = tuple(objects)
        _refuse_doubles([(item.interface.class_id, str(item.obis)) for item in self.objects])
        wanted = tuple(clients)
        _refuse_doubles([client.sap for client in wanted])
        self.views: dict[int, ClientView[S]] = {
            client.sap: ClientView(client, (AssociationLn(client, self.objects), *self.objects))
            for client in wanted
        }


def _refuse_doubles(names: list[int] | list[tuple[int, str]]) -> None:
    doubled = {name for name in names if names.count(name) > 1}  # type: ignore[arg-type] # one list of either kind
    if doubled:
        raise ConflictError(f"A meter's model names {sorted(doubled)} twice.", doubled=doubled)
