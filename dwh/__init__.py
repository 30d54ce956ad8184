"""Plumbing of the Sparkify warehouse suite: configuration, terminal, sources and engines. It knows no song, no user
and no play."""

__version__ = "0.2.0"
