"""Usage, bills and prices as CSV, for spreadsheets and scripts; usage is read back without loss."""

from metertwin.exchange.comma_separated.bills import bill_lines_csv, bills_overview_csv
from metertwin.exchange.comma_separated.price_reader import read_prices_csv
from metertwin.exchange.comma_separated.usage_reader import read_usage_csv
from metertwin.exchange.comma_separated.usage_writer import usage_csv, usage_csv_chunks

__all__ = [
    "bill_lines_csv",
    "bills_overview_csv",
    "read_prices_csv",
    "read_usage_csv",
    "usage_csv",
    "usage_csv_chunks",
]
