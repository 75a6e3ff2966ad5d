"""What a call is: pure rules without I/O, clock or database."""
