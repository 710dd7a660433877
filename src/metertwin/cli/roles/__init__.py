"""The roles of a site as processes: each reads the site file, connects, and runs until stopped."""
