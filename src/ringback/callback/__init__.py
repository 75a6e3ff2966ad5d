"""Call Me Back: may we call back, now, there, at that price; and the course of one callback."""
