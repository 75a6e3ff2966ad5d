"""What programs bring in, with tokens that open nothing else."""
