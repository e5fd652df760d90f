"""Which layout a page was read in: the name of the method that read it goes with whatever comes of the page."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from newsarchive.article import Article, Refused

__all__ = ["layout", "layout_of", "note_layout"]

Given = ParamSpec("Given")
#: Where an exception that is no refusal keeps the name.
NOTE = "layout"


def layout(read: Callable[Concatenate[Any, Given], Article]) -> Callable[Concatenate[Any, Given], Article]:
    """Return a method that reads pages of one layout, called like it, with its name in the article or the exception."""
    name = read.__name__

    @wraps(read)
    def reading(self: Any, /, *args: Given.args, **kwargs: Given.kwargs) -> Article:
        try:
            return replace(read(self, *args, **kwargs), layout=name)
        except Exception as error:
            note_layout(error, name)
            raise

    return reading


def note_layout(error: BaseException, name: str) -> None:
    """Say in which layout a page was read that led to an exception, unless it says so already."""
    vars(error).setdefault(NOTE, name)


def layout_of(error: BaseException) -> str:
    """Return the layout in which a page was read that led to an exception; empty if it had none."""
    name = vars(error).get(NOTE, "")
    if not name and isinstance(error, Refused) and error.__cause__:
        return layout_of(error.__cause__)
    return str(name)
