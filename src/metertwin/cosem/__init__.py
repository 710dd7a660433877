"""A sans-I/O DLMS/COSEM codec, client and server: bytes in, events and bytes out, no sockets."""
