"""Who somebody is: passwords, second factors, tokens, and how often one may try."""
