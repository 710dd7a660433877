"""The bus: NATS with JetStream, its subjects and streams, who may use which, and the wire format.

Everything that crosses a process boundary inside MeterTwin crosses here, and everything here is
authenticated. There is no stand-in: tests and laptops start the real server.
"""
