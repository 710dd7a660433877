"""What a home draws while everybody sleeps: an example of a MeterTwin app."""
