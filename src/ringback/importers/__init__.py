"""File formats that come in, one module each."""
