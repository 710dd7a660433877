"""URDB's fields: those about the bill, those that say nothing about it and why, and free texts.

Names are in lower case, as the API's versions differ in it.
"""

import re

_WHO = "says who may take the rate; that is decided before it is billed"
_RECORD = "is about the record in the database"
_ORIGIN = "names where the rate comes from; it is kept as the tariff's name and source"
_LABELS = "labels periods for people"

# Those that say what is billed; a JSON object without any of them is no rate.
BILLED = frozenset(
    {
        *("energyratestructure", "energyweekdayschedule", "energyweekendschedule"),
        *("fueladjustmentsmonthly", "flatdemandstructure", "flatdemandmonths", "flatdemandunit"),
        *("demandratestructure", "demandweekdayschedule", "demandweekendschedule"),
        *("demandrateunit", "demandwindow", "demandreactivepowercharge"),
        *("lookbackpercent", "lookbackrange", "lookbackmonths", "demandratchetpercentage"),
        *("fixedmonthlycharge", "fixedchargefirstmeter", "fixedchargeunits", "fixedchargeeaaddl"),
        *("minmonthlycharge", "annualmincharge", "mincharge", "minchargeunits"),
        *("dgrules", "usenetmetering", "startdate", "enddate", "country", "servicetype"),
        *("coincidentratestructure", "coincidentrateschedule", "coincidentschedule"),
        "coincidentrateunit",
    }
)
INFORMATIONAL = {
    "label": _ORIGIN,
    "uri": _ORIGIN,
    "name": _ORIGIN,
    "utility": _ORIGIN,
    "eiaid": _ORIGIN,
    "eia": _ORIGIN,
    "source": _ORIGIN,
    "sourceparent": _ORIGIN,
    "approved": _RECORD,
    "is_default": _RECORD,
    "supercedes": _RECORD,
    "supersedes": _RECORD,
    "revisions": _RECORD,
    "latest_update": _RECORD,
    "sector": _WHO,
    "demandunits": _WHO,
    "peakkwcapacitymin": _WHO,
    "peakkwcapacitymax": _WHO,
    "peakkwcapacityhistory": _WHO,
    "peakkwhusagemin": _WHO,
    "peakkwhusagemax": _WHO,
    "peakkwhusagehistory": _WHO,
    "voltageminimum": _WHO,
    "voltagemaximum": _WHO,
    "voltagecategory": _WHO,
    "phasewiring": _WHO,
    "energytoulabels": _LABELS,
    "demandtoulabels": _LABELS,
    "demandlabels": _LABELS,
}
FREE_TEXTS = ("description", "basicinformationcomments", "demandcomments", "energycomments")
ATTRIBUTES = ("demandattrs", "energyattrs", "fixedattrs")
_AMOUNT = re.compile(
    r"[$¢€£]\s*\.?\d|\d\s*(¢|%|per\s?cents?\b)|\b(cents?|mills?|dollars?)\b"
    r"|\bper\s+k(w|va|ilowatt|ilovolt)",
    re.IGNORECASE,
)


def names_an_amount(text: str) -> bool:
    """Say whether a text speaks of money or percents, which may then be owed.

    Example:
        >>> names_an_amount("Minimum charge of $1000.00."), names_an_amount("For large power.")
        (True, False)
    """
    return _AMOUNT.search(text) is not None
