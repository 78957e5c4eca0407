"""Prepared pixels on disk: decoded and resized once, shared by every run that sees the same images the same way."""
