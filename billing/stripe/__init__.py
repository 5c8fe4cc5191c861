"""Everything that is said to Stripe and heard from it; the only package that imports the stripe library."""
