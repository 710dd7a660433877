"""The application PDUs of DLMS/COSEM: one frozen record per PDU, its octets and back."""
