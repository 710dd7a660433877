"""Usage and bills as files that leave and enter: Green Button (ESPI) and CSV.

A file of either form becomes the same thing, a `UsageFile`, and comes from it: energies per
interval with their quality, and what bills said. Nothing here opens a file; callers hand in bytes.
"""
