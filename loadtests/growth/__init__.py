"""How costs grow: one size at a time in geometric steps, with fitted exponents."""
