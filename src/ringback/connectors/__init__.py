"""PBXs, one package a maker: what they tell becomes events of `calls.events`, what they shall do becomes their commands."""
