"""The trainer around stock `fit`, and what it needs."""
