"""The API's resources: each module is one path and what may be done to it."""
