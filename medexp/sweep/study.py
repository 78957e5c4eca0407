"""A study that several sweepers share: who runs which trial, exactly once."""

from __future__ import annotations

from medexp.sweep.records import Order, Record

__all__ = ["Order", "Record"]
