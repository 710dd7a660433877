"""COSEM interface classes: names for who reads a meter, object definitions for who is one."""
