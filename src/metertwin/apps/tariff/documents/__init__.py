"""Tariffs as documents: a YAML form for people, both ways without loss, and imports from others.

What a document says is read exactly or refused with every problem, its line and what to check.
"""

from metertwin.apps.tariff.documents.document import (
    parse_tariff,
    tariff_from_plain,
    tariff_to_plain,
    tariff_yaml,
)
from metertwin.apps.tariff.documents.problems import TariffDocumentError
from metertwin.core.documents.problems import Problem

__all__ = [
    "Problem",
    "TariffDocumentError",
    "parse_tariff",
    "tariff_from_plain",
    "tariff_to_plain",
    "tariff_yaml",
]
