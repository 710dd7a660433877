"""A small app for tests, a package of its own: counts energy and watches a limit."""
