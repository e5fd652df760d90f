"""Captures that are kept elsewhere: moved there once they are old, read where they lie, and brought back.

``moved`` knows the notes that stand for such files in the archive, ``place`` the folders elsewhere, ``reached`` reads
what lies there, ``prune`` and ``restore`` move, and ``afar`` asks places what they hold.
"""
