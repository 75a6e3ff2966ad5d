"""Streams of live changes: who listens, what each may see, and the one reader that brings it to all of them."""
