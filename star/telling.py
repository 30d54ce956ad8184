"""What a load says about the files it found, before it reads them; and about keys that it did not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dwh.script import Script
from dwh.sources.files import is_under
from dwh.sources.ledger import Entry, Work
from dwh.sources.listing import SETTINGS, Listing, describe_passed_over, only_passed_over
from dwh.terminal.wording import count

if TYPE_CHECKING:
    from dwh.spool.unread_keys import Sightings


def tell_unread_keys(script: Script, unread: Sightings) -> None:
    """Name the keys that are not read because of their case, also after a record was refused because it lacks one."""
    for key, seen in unread.all().items():
        files = ("at least " if seen.at_least else "") + count(seen.files, f"{key.kind[:-1]} file")
        found = f"the key {key.key} in {files}, such as {seen.example}"
        script.console.note(f"{found}, is not read: upper and lower case matter, write {key.spelling}")


def tell_unread(script: Script, listings: Mapping[str, Listing]) -> None:
    """Name the folders without files to read, and count the files that were passed over.

    Raises EnvironmentFailure for a place whose files are all passed over; an empty place is not an error.
    """
    names = script.sources.names
    for kind, places in script.locations.items():
        for place in places:
            if not any(is_under(file.path, place) for file in listings[kind].files):
                passed_over = [path for path in listings[kind].passed_over if is_under(path, place)]
                if passed_over:
                    raise only_passed_over(place, SETTINGS[kind], passed_over, names)
                script.console.note(f"{place} holds no file to read ({names})")
    passed_over = [path for listing in listings.values() for path in listing.passed_over]
    if passed_over:
        script.console.note(describe_passed_over(passed_over, names))
    for path in passed_over if script.args.verbose else ():
        script.console.detail(f"passed over: {path}")


def tell_work(script: Script, work: Work) -> None:
    """Report the files that were found, before anything is loaded."""
    if work.pending:
        script.console.say(
            f"{count(work.new, 'new file')}, {work.changed:,} changed, {work.already_loaded:,} already loaded"
        )
    if work.vanished:
        tell_kept(script, "gone from the source", work.vanished)
    if work.unread:
        tell_kept(script, "no longer read because of the name", work.unread)
    if work.rejected:
        first = min(entry.path for entry in work.rejected)
        script.console.note(f"{count(len(work.rejected), 'file')} could not be read, tried again when changed: {first}")


def tell_kept(script: Script, why: str, files: Sequence[Entry]) -> None:
    """Name a loaded file that will not be read again, and the command that drops its rows."""
    first = files[0].path
    said = f"{count(len(files), 'loaded file')} {why}, rows kept: {first}"
    script.console.note(f"{said} (to drop its rows: {script.next('etl', '--forget', first)})")
