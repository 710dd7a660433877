"""Applications of the twin: pure, versioned, deterministic; they see a group and return outputs.

An app does no I/O. Its host hands it the group's view and what is new, fetches the history a
request needs, and carries out what it returns, as far as the site granted it.
"""
