"""Whether an account has the shape that judges rely on: one that is damaged must not keep them from the others."""

from collections.abc import Mapping
from typing import Any

__all__ = ["is_sound"]

#: No run counts more: what says so is damaged.
MOST = 10**7


def is_sound(account: Mapping[str, Any]) -> bool:
    """Tell whether all that judges read in an account is there, and is what it should be."""
    return (
        isinstance(account["finish"], str)
        and all(_is_number(account[name]) for name in ("scheduled", "stored", "revised", "unchanged"))
        and all(_is_counted(account[name]) for name in ("refused", "failed"))
        and _is_counted(account.get("responses", {}))
        and all(isinstance(line, str) for line in account["failures"])
        and all(map(_is_listing, account["listings"]))
        and _is_words(account["manners"].get("blocked", {}))
        and all(isinstance(entry["url"], str) for entry in account.get("unfinished", ()))
        and isinstance(account.get("bytes", {}).get("captured", 0), int)
        and all(map(_is_look, account.get("layouts", {}).values()))
    )


def _is_listing(listing: Any) -> bool:
    return isinstance(listing["url"], str) and isinstance(listing.get("failed", ""), str)


def _is_look(look: Any) -> bool:
    """Tell whether it is what ``newsarchive.profile`` tells of the pages of a layout: no part more than the whole."""
    new, again = read = look["read"]
    lengths = [look["lengths"][at] for at in look["lengths"] if -1 < int(at) < MOST]
    return (
        all(map(_is_number, read))
        and _is_number(look["revised"])
        and look["revised"] <= again
        and all(_is_pair(pair) and pair[0] <= new and pair[1] <= again for pair in look["empty"].values())
        and len(lengths) == len(look["lengths"])
        and all(map(_is_pair, lengths))
        and sum(pair[0] for pair in lengths) <= new
        and sum(pair[1] for pair in lengths) <= again
        and _is_counted(look["refused"])
        and _is_words(look["examples"])
        and _is_words(look["details"])
    )


def _is_pair(pair: Any) -> bool:
    new, again = pair
    return _is_number(new) and _is_number(again)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < MOST


def _is_counted(counts: Any) -> bool:
    return all(map(_is_number, counts.values()))


def _is_words(words: Any) -> bool:
    return all(isinstance(word, str) for word in words.values())
