"""The version of ragstack, alone so that the build can read it."""

__version__ = "0.1.0"
