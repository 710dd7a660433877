"""The published JSON Schema of fleet files, for editors that check while one writes."""

import msgspec

from metertwin.fleet.document.form import FleetFile


def fleet_schema() -> bytes:
    """Return the schema as indented JSON, the same for the same program."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MeterTwin fleet file",
        **msgspec.json.schema(FleetFile),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(fleet_schema())
