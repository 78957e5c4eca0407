"""Promotion: gather what is known of a candidate and of the champion, judge, decide, record."""
