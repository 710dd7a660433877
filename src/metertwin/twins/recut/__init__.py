"""Cutting a group otherwise while it lives: what its owners, the old ones and the new, do for it.

The old ones hold their doors, settle at one place of the stream, and wait for the decision; the new
ones compose their first checkpoints from the last ones of the old. What decides is the record in
`metertwin.bus.cuts`; who orders it all is the fleet.
"""
