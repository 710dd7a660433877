"""Documents that people write in YAML: a tree that knows its lines, and readers that note problems.

What a document means is its reader's business; here is what all of them share, so that a tariff and
a fleet are refused in the same words: line, place, value, rule and remedy, everything together.
"""
