"""A tariff as a YAML document, both ways and without loss."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from metertwin.apps.tariff.documents.charges import DEMAND_BLOCK_KEYS, ENERGY_BLOCK_KEYS
from metertwin.apps.tariff.documents.problems import TARIFF, TariffDocumentError
from metertwin.apps.tariff.documents.records import read_record, record_to_plain
from metertwin.apps.tariff.rating.checks import check_tariff
from metertwin.apps.tariff.tariff import Tariff, TariffError
from metertwin.core.documents.nodes import Node, compose, decimal_text, tree_of
from metertwin.core.documents.place import Place
from metertwin.core.documents.problems import Problem, Refused
from metertwin.core.documents.written import yaml_of


def parse_tariff(text: str, where: str) -> Tariff:
    """Read a tariff from YAML; docs/tariffs.md explains the form.

    Args:
        text: The document, at most 256 KiB.
        where: Names it in errors, for example the file's path.

    Raises:
        TariffDocumentError: It is no YAML, breaks the form, or contradicts itself; every problem
            with its line, its place in the document and what to check.

    Example:
        >>> parse_tariff('''
        ... id: flat
        ... version: 1
        ... name: One price
        ... currency: EUR
        ... zone: Europe/Berlin
        ... energy: {periods: {all: {price_per_kwh: 0.3020}}}
        ... ''', "flat.yaml").energy.tiers
        ((Tier(up_to_kwh=None, price_per_kwh=Decimal('0.3020'), sell_per_kwh=None),),)
    """
    return _tariff_of(compose(text, where, TARIFF), where)


def tariff_from_plain(plain: Mapping[str, object], where: str) -> Tariff:
    """Read a tariff from plain values, as `tariff_to_plain` or a JSON document gives them.

    Raises:
        TariffDocumentError: As `parse_tariff`, without lines; floats are refused, decimals are
            texts.
    """
    return _tariff_of(tree_of(plain, where, TARIFF), where)


def tariff_to_plain(tariff: Tariff) -> dict[str, object]:
    """Return a tariff as mappings, lists, texts and whole numbers; decimals are texts."""
    plain = _portable(record_to_plain(tariff))
    assert isinstance(plain, dict)
    return plain


def tariff_yaml(tariff: Tariff) -> str:
    """Return a tariff as YAML: `parse_tariff` of it is the same tariff."""
    return yaml_of(tariff_to_plain(tariff), _PRICE_KEYS)


def _tariff_of(root: Node, where: str) -> Tariff:
    problems: list[Problem] = []
    try:
        tariff = read_record(Place(root, "", problems), Tariff)
    except Refused:
        problems.sort(key=lambda problem: problem.line_number or 0)
        raise TariffDocumentError(where, problems) from None
    try:
        check_tariff(tariff)
    except TariffError as error:
        raise TariffDocumentError(where, [Problem("", None, str(error))]) from error
    return tariff


def _portable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, Decimal):
        return decimal_text(value)
    return value.isoformat() if isinstance(value, date) else value


_PRICE_KEYS = {*ENERGY_BLOCK_KEYS, *DEMAND_BLOCK_KEYS}
