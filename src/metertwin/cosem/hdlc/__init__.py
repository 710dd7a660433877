"""HDLC as DLMS meters speak it: frame format type 3, normal response mode, both sides, sans-I/O."""
