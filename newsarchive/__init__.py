"""Keeps what newsrooms publish: the nouns of the project."""

__all__ = ["__version__"]

#: Stands in captures and accounts, also where the project is not installed: in an egg it has no metadata of its name.
__version__ = "0.1.0"
