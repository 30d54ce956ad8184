"""Tests against a stand-in for Amazon Redshift: no account can be reached from here."""
