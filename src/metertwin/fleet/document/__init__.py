"""The fleet file: what shall run where, from which image, within which limits; YAML for people."""

from metertwin.fleet.document.form import (
    AppEntry,
    FleetFile,
    GroupEntry,
    LimitsEntry,
    ResourcesEntry,
    RolloutEntry,
    SiteEntry,
)
from metertwin.fleet.document.known import Known
from metertwin.fleet.document.reader import FleetFileError, fleet_yaml, parse_fleet

__all__ = [
    "AppEntry",
    "FleetFile",
    "FleetFileError",
    "GroupEntry",
    "Known",
    "LimitsEntry",
    "ResourcesEntry",
    "RolloutEntry",
    "SiteEntry",
    "fleet_yaml",
    "parse_fleet",
]
