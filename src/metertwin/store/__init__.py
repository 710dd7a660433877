"""The history: readings, events, commands and the ledger, written once and asked often.

`port.HistoryStore` says what a store does; `duckdb` is the embedded backend, one file owned by one
process. Everything one fetch from the bus brought is a `Harvest` and becomes durable in one
transaction, together with the ledger and the position in the stream, so that a crash at any
instant neither loses nor doubles a reading.
"""
