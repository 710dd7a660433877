"""Links to meters: one port, `MeterLink`, and its backends; today DLMS/COSEM over TCP or HDLC.

A link turns a meter's protocol into values of the core: registers as integers with a scaler, the
meter's own time in UTC, quality bits. It knows nothing of numbering, polling or the bus. The
registry says which meters there are, how to reach them and with which keys.
"""
