"""One page per evaluation, the model card, and the checklists: filled from evidence, the rest listed as open."""
