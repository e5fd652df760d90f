"""What is logged, and where it goes: lines that say whose they are, and show what would drive a terminal."""
