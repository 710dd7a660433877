"""The meter's side of COSEM, sans-I/O: devices, the associations with them, and their endpoints."""
