"""Call Me Back: widgets on web sites and who used them."""
