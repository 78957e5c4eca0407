"""What a probability leads to: findings, sets, refusal. NumPy alone; evaluation fits it, the service applies it."""
