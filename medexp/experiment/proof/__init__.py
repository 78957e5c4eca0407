"""What `scripts/compare.py` proves: find tested runs, pool them into variants, compare, write, record."""
