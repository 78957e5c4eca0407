"""What a model must show before an alias is given to it: plain facts, rules, and a verdict for each gate."""
