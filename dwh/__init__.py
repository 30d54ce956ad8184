"""Plumbing of the Sparkify warehouse suite: configuration, terminal, sources and engines. Nothing in it depends on
songs, users or plays."""

__version__ = "0.2.0"
