"""Looks for what makes a result wrong before a network is trained: leaks, conflicts, shortcuts, shifts."""
