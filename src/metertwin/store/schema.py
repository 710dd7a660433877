"""The tables of the history file.

Times are microseconds since 1970 UTC as BIGINT, exact and without a time-zone database. There is
no index over the readings: appending keeps its speed, rows lie in the order of time, and DuckDB
passes over blocks whose time range does not match.
"""

SCHEMA_VERSION = 2

_OUTPUTS = """
CREATE TABLE outputs (group_id INTEGER NOT NULL, app VARCHAR NOT NULL,
    app_version VARCHAR NOT NULL, meter_id INTEGER, name VARCHAR NOT NULL, at_us BIGINT NOT NULL,
    revision BIGINT NOT NULL, issued_at_us BIGINT NOT NULL, value VARCHAR NOT NULL);
"""

_FIRST = """
CREATE TABLE layout (version INTEGER NOT NULL, last_transaction BIGINT NOT NULL);
CREATE TABLE groups (group_id INTEGER NOT NULL, name VARCHAR NOT NULL, epoch BIGINT NOT NULL,
    stale_count BIGINT NOT NULL);
CREATE TABLE meters (meter_id INTEGER NOT NULL, name VARCHAR NOT NULL, group_id INTEGER NOT NULL);
CREATE TABLE registers (register_id INTEGER NOT NULL, obis VARCHAR NOT NULL, unit INTEGER NOT NULL,
    scaler INTEGER NOT NULL, period_s BIGINT NOT NULL);
CREATE TABLE readings (meter_id INTEGER NOT NULL, register_id INTEGER NOT NULL,
    captured_at_us BIGINT NOT NULL, integer BIGINT NOT NULL, quality UTINYINT NOT NULL,
    origin UTINYINT NOT NULL, received_at_us BIGINT NOT NULL, sequence BIGINT NOT NULL);
CREATE TABLE superseded (meter_id INTEGER NOT NULL, register_id INTEGER NOT NULL,
    captured_at_us BIGINT NOT NULL, integer BIGINT NOT NULL, quality UTINYINT NOT NULL,
    origin UTINYINT NOT NULL, received_at_us BIGINT NOT NULL, sequence BIGINT NOT NULL);
CREATE TABLE ledger (meter_id INTEGER NOT NULL, received BIGINT NOT NULL, taken BIGINT NOT NULL,
    duplicate BIGINT NOT NULL, repeated BIGINT NOT NULL);
CREATE TABLE holes (meter_id INTEGER NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL);
CREATE TABLE positions (stream VARCHAR NOT NULL, stream_sequence BIGINT NOT NULL);
CREATE TABLE events (meter_id INTEGER NOT NULL, source VARCHAR NOT NULL, code BIGINT NOT NULL,
    captured_at_us BIGINT NOT NULL, received_at_us BIGINT NOT NULL, name VARCHAR NOT NULL,
    detail VARCHAR NOT NULL);
CREATE TABLE commands (id VARCHAR NOT NULL, meter_id INTEGER NOT NULL, kind VARCHAR NOT NULL,
    arguments VARCHAR NOT NULL, issued_by VARCHAR NOT NULL, issued_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL, epoch BIGINT NOT NULL);
CREATE TABLE outcomes (id VARCHAR NOT NULL, meter_id INTEGER NOT NULL, status VARCHAR NOT NULL,
    at_us BIGINT NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE refused (stream VARCHAR NOT NULL, stream_sequence BIGINT NOT NULL,
    subject VARCHAR NOT NULL, octets BLOB NOT NULL, code VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    refused_at_us BIGINT NOT NULL);
"""

CREATE = _FIRST + _OUTPUTS

# From the version in the key to the next one.
UPGRADES = {1: _OUTPUTS}
