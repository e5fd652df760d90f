"""Git as a publication: the archive's posts as commits of a repository, pushed where others read them.

Only posts are committed, by plumbing commands that need neither the user's index nor
hooks nor an editor: whatever else the user has changed or staged stays as it is. A
commit is whole before the branch names it. History only grows: nothing is amended,
rebased or forced, and what others have pushed is merged.
"""

from newsarchive.publication.git import NotPublished, Options
from newsarchive.publication.publish import Publication, publish

__all__ = ["NotPublished", "Options", "Publication", "publish"]
