"""Which model is better, and whether these images can tell: paired statistics on one test split."""
