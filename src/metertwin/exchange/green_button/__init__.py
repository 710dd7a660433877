"""Green Button: NAESB's Energy Service Provider Interface (ESPI, REQ.21), an Atom feed of usage.

`read_green_button` and `green_button_chunks` are inverse to each other as far as ESPI can say what
a `UsageFile` says; docs/green-button.md tells field by field. Codes and the order of elements are
those of the schema espi.xsd, version 4.0 of 2023-12-13, whose publisher licenses it under
Apache-2.0 (GreenButtonAlliance/OpenESPI-Common-java, src/main/resources/schema/ESPI_3_3).
"""

from metertwin.exchange.green_button.reader import read_green_button
from metertwin.exchange.green_button.writer import green_button, green_button_chunks

__all__ = ["green_button", "green_button_chunks", "read_green_button"]
