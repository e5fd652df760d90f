"""What an archive holds, handed out in other forms: posts under older names, and tables for researchers.

Nothing is written into the archive, and a crawl may be under way meanwhile:
each article is exported as the index has it at the moment when it is its turn.
"""
