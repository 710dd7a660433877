"""The controller; one fleet runs for all tests of this package, and ends after the last of them."""
