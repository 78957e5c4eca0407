"""medexp: config-driven medical image classification. Importing it loads no framework."""

__version__ = "0.1.0"
