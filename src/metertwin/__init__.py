"""MeterTwin: a digital twin in a container for every smart meter."""

__version__ = "0.1.0"
