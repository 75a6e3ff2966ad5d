"""What happened: calls, recordings, signalling, messages."""
