"""Audio in, MP3 out. The server imports `encoder`; only the child process that it starts imports the codecs."""
