"""The twin host: twins in columns, kept in step from the stream, answering and commanding.

A twin is a row in its group's columns, so that a batch for the whole group is one vectorised step
and a twin costs less than a kilobyte. The host owns its groups by epoch, recovers as checkpoint
plus the tail of the stream, answers requests from its state or through the gateway, and turns
desired state into commands.
"""
