"""Work that outlives a request: a table of jobs, workers that survive crashes, and the kinds of work."""
