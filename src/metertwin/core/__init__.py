"""The vocabulary of MeterTwin: units, ids, OBIS codes, readings, profiles, events, commands, twins.

Everything here is a value or pure arithmetic on values. Nothing reads a clock, a file or a socket:
time comes in through `clock.Clock`, so that a test, a simulation at 10,000 times real time and a
utility's head-end run the same lines.
"""
