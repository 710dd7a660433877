"""Validation, estimation and editing of interval energies before anything is billed from them.

Checks mark what is doubtful, estimates fill what is missing and say how, edits put in what a person
knows better; each change is in an audit with its reason, and no energy a register knows of is lost.
"""

from metertwin.core.vee.edits import (
    Edit,
    EditError,
    edit_from_plain,
    edit_to_plain,
    edits_about,
)
from metertwin.core.vee.estimation import EstimationMethod
from metertwin.core.vee.finding import VeeFinding
from metertwin.core.vee.process import validate_estimate_edit
from metertwin.core.vee.result import AuditAction, AuditEntry, VeeResult
from metertwin.core.vee.rules import LastResort, VeeCheck, VeeRules, VeeRulesError
from metertwin.core.vee.totals import RangeGains

__all__ = [
    "AuditAction",
    "AuditEntry",
    "Edit",
    "EditError",
    "EstimationMethod",
    "LastResort",
    "RangeGains",
    "VeeCheck",
    "VeeFinding",
    "VeeResult",
    "VeeRules",
    "VeeRulesError",
    "edit_from_plain",
    "edit_to_plain",
    "edits_about",
    "validate_estimate_edit",
]
