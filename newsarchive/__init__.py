"""Keeps what newsrooms publish: the nouns of the project."""
