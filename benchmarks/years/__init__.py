"""`make five-years`: an office's five years of Asterisk history, made here, go through everything that Ringback does with them."""
