"""The recorder: follows the streams of the bus and writes what it sees into the history, once.

It acknowledges nothing. Rows, ledger and the position in the stream become durable in one
transaction, and after any crash it reads on from the position it finds. It also answers the
questions about history, because one process owns the store.
"""
