"""The composition root: the one room that knows all others. Read `train.py` from top to bottom."""
