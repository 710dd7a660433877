"""The fleet: what should run at a site, and the processes that make it so.

A site is described by one file in its state directory; a supervisor starts a process for each
role, starts it again when it dies, and ends them all when it ends.
"""
