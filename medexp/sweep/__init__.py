"""Many jobs under one parent run. No Hydra in here."""
