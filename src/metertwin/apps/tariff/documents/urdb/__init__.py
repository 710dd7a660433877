"""Import of rates from OpenEI's Utility Rate Database (URDB), versions 3 to 8 of its API.

Every field of a rate is imported, is known to say nothing about the bill, or is reported as
unsupported with what that does to the bill. None is passed over.
"""

from metertwin.apps.tariff.documents.urdb.findings import Unsupported
from metertwin.apps.tariff.documents.urdb.rate import UrdbImport, import_urdb
from metertwin.apps.tariff.documents.urdb.shapes import read_urdb

__all__ = ["Unsupported", "UrdbImport", "import_urdb", "read_urdb"]
