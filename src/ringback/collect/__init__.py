"""Signalling as capture agents send it, from the socket to media sessions.

``sources`` who may send, and for which customer; ``intake`` a packet is read, admitted and queued; ``listener`` UDP, TCP and
TLS; ``writer`` the thread that stores; ``collector`` all of them as one thing to start and stop.
"""
