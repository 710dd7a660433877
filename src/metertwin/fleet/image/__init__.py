"""The image that every role runs from: made here, without a registry, known to the last file."""
