"""A group in shares; one fleet runs for all tests of this package, and ends after the last."""
