"""What the world sees: REST, a stream of live events, health and metrics, over HTTP on loopback.

The API holds no state of its own that matters: it asks the bus and says what the bus answered, so
that any number of it may run and none needs a backup. Every request but the one for health carries
the site's token, and every error is an RFC 9457 problem document with MeterTwin's stable code.
"""
