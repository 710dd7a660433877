"""Tariffs and bills: what energy costs when, what a usage point owes and why.

A tariff says prices in time, blocks and demand; rating turns interval energies into exact amounts,
for one meter or a fleet in one pass; a bill explains each of its lines.
"""
