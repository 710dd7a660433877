"""A URDB rate as a tariff, with an account of every field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from metertwin.apps.tariff.documents.document import tariff_from_plain, tariff_to_plain
from metertwin.apps.tariff.documents.problems import TARIFF, TariffDocumentError
from metertwin.apps.tariff.documents.urdb.demand import demand_charges
from metertwin.apps.tariff.documents.urdb.energy import energy_charge
from metertwin.apps.tariff.documents.urdb.fields import (
    ATTRIBUTES,
    FREE_TEXTS,
    INFORMATIONAL,
    names_an_amount,
)
from metertwin.apps.tariff.documents.urdb.findings import Unsupported
from metertwin.apps.tariff.documents.urdb.rate_fields import RateFields, as_written
from metertwin.apps.tariff.documents.urdb.terms import (
    export_terms,
    fixed_charges,
    minimums,
    validity,
)
from metertwin.apps.tariff.energy import TierRule
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.documents.nodes import tree_of
from metertwin.core.documents.place import Place
from metertwin.core.documents.problems import Problem, Refused


@dataclass(frozen=True, slots=True)
class UrdbImport:
    """A rate as a tariff.

    Attributes:
        notes: How the rate was read where it leaves that open, one sentence each.
        unsupported: Fields that do not, or not surely, reach the bill. Unless it is empty, bills
            may differ from the utility's.
    """

    tariff: Tariff
    notes: tuple[str, ...]
    unsupported: tuple[Unsupported, ...]


def import_urdb(
    rate: Mapping[str, object], *, tier_rule: TierRule | None, zone: str, where: str
) -> UrdbImport:
    """Return a URDB rate as a tariff.

    Args:
        rate: One rate, as `read_urdb` gives it: numbers are int or Decimal.
        tier_rule: How energy of several periods fills blocks, which URDB does not say; needed if
            the rate has blocks, else None.
        zone: IANA name of the time zone the rate's hours are in, which URDB does not say either.
        where: Names the rate in errors.

    Raises:
        TariffDocumentError: The rate has no prices of energy, contradicts itself, needs a tier
            rule, or a field has another form than URDB gives it; all problems together.

    References:
        OpenEI, "Utility Rates" web service, version 7 (field list); NREL SAM and REopt for how
        lookback and blocks are read.
    """
    problems: list[Problem] = []
    root = Place(tree_of(rate, where, TARIFF), "", problems)
    try:
        fields = RateFields.of(root)
    except Refused:
        raise TariffDocumentError(where, problems) from None
    tariff = _tariff(fields, root, tier_rule, _checked_zone(zone, where), where)
    _account_for_the_rest(fields)
    if problems or tariff is None:
        raise TariffDocumentError(where, problems)
    checked = tariff_from_plain(tariff_to_plain(tariff), where)
    return UrdbImport(checked, tuple(fields.findings.notes), tuple(fields.findings.unsupported))


def _checked_zone(zone: str, where: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (KeyError, ValueError, OSError) as error:
        sentence = f"{zone!r} is no time zone; write one such as America/Los_Angeles."
        raise TariffDocumentError(where, [Problem("", None, sentence)]) from error


def slug(text: str) -> str:
    """Return a text as an id: small letters, digits and hyphens.

    Example:
        >>> slug("Rate LP1 (Large Power)"), slug("?")
        ('rate-lp1-large-power', 'urdb')
    """
    return "-".join(re.findall("[a-z0-9]+", text.lower())) or "urdb"


def _tariff(
    rate: RateFields, root: Place, tier_rule: TierRule | None, zone: str, where: str
) -> Tariff | None:
    names = {name: _said(rate, name) for name in ("label", "name", "utility", "uri")}
    energy = energy_charge(rate, root, tier_rule)
    demand = demand_charges(rate, root)
    fixed = fixed_charges(rate)
    per_month, per_year = minimums(rate)
    first, last = validity(rate, zone)
    if energy is None:
        return None
    export, energy = export_terms(rate, energy)
    _check_country(rate)
    return Tariff(
        id=names["label"] or slug(names["name"] or where.rpartition("/")[2].removesuffix(".json")),
        version=1,
        name=", ".join(filter(None, (names["utility"], names["name"]))) or "URDB rate",
        currency="USD",
        zone=zone,
        energy=energy,
        valid_from=first,
        valid_until=last,
        demand=demand,
        export=export,
        fixed=fixed,
        minimum_per_month=per_month,
        minimum_per_year=per_year,
        source=" ".join(filter(None, ("OpenEI URDB", names["uri"]))),
    )


def _said(rate: RateFields, name: str) -> str:
    place = rate.places.get(name)
    return as_written(place).strip() if place is not None else ""


def _check_country(rate: RateFields) -> None:
    country = rate.text("country")
    if country not in {"", "USA", "US"}:
        rate.findings.lacks(
            "country", country, "the rate does not say its currency", "prices are taken as USD"
        )
    service = rate.text("servicetype")
    if service not in {"", "Bundled"}:
        rate.findings.notes.append(
            f"The rate is of service type {service}: the customer has another bill for the rest."
        )


def _account_for_the_rest(rate: RateFields) -> None:
    """Take the fields that are left: those that say nothing of the bill, and those that may."""
    rate.lacks(
        "demandreactivepowercharge",
        "reactive power has no price of its own in a tariff; power-factor bands are another rule",
        "reactive power is not billed",
    )
    for name in ("coincidentratestructure", "coincidentrateschedule", "coincidentschedule"):
        rate.lacks(
            name,
            "when the system peaks is not known to a meter's bill",
            "coincident demand is not billed",
        )
    rate.take("coincidentrateunit")
    for name in ATTRIBUTES:
        rate.lacks(name, "names and values are free text", "what they charge is not billed")
    for name in FREE_TEXTS:
        _account_for_text(rate, name)
    for name in list(rate.places):
        if name in INFORMATIONAL:
            rate.take(name)
        else:
            rate.lacks(name, "this field is not known", "what it charges, if it does, is missing")


def _account_for_text(rate: RateFields, name: str) -> None:
    text = " ".join(rate.text(name).split())
    if names_an_amount(text):
        rate.findings.lacks(
            name,
            text,
            "it is a text for people that names an amount",
            "what it says is billed only if another field says it too; read it in full",
        )
    elif text:
        rate.findings.notes.append(f"{name} says: {text}")
