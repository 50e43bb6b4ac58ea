"""Which lines separate the messages of an mbox, and what date each of them has.

Such a line begins with "From ". Three things speak for one: a date, an empty line above
it, a header field below it. A date as ctime() or RFC 5322 write it (STRICT) needs the line or
the field, any other (LOOSE) the field; no date at all, as Thunderbird has it, or one without
a time (DATELESS) needs both.
So prose that begins with "From" is prose.
"""

from __future__ import annotations

import calendar
import re

LINE_MAX = 1_000  # longer than any that was seen
LOOK = LINE_MAX + 1_000  # bytes from the beginning of such a line that decide about it

DAY = rb"(?i:mon|tue|wed|thu|fri|sat|sun)"
NAMES = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
MONTH = rb"(?P<month>(?i:" + b"|".join(NAMES) + rb"))"
CLOCK = rb"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
YEAR = rb"(?P<year>(?:19|20)\d\d)"
SP = rb"[ \t]+"
# +0100, GMT, MET DST, GMT+0100, (CET), America/New_York
ZONE = rb"(?:[A-Z]{1,5}(?:[+-]\d{1,2}(?::?\d\d)?)?|[+-]\d\d:?\d\d|\([A-Za-z ]{1,40}\)|[A-Z][a-z]+/[A-Za-z_/]+)"
ZONES = rb"(?:" + SP + ZONE + rb"){0,3}"

# What stands before the date does not matter here: "bo at example.org", "a b <bo@example.org>".
STRICT = tuple(
    re.compile(rb"(?:\A|(?<=[ \t]))" + DAY + rb",?" + SP + date + rb"\b")
    for date in (
        MONTH + SP + rb"(?P<day>\d{1,2})" + SP + CLOCK + ZONES + SP + YEAR,
        rb"(?P<day>\d{1,2})" + SP + MONTH + SP + YEAR + SP + CLOCK,
    )
)
# What Dovecot takes for ctime(): an address, any three letters, any word for a zone.
CTIME = re.compile(
    rb'(?:"[^"]*")?\S* +\S{3} +' + MONTH + rb" +(?P<day>\d{1,2}) +" + CLOCK + rb"(?: +\S+)? +" + YEAR + rb"\b"
)

# With no empty line above it does: an address, or nothing, but not the rest of a date ("From Monday ...").
MONTHS = (
    rb"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    rb"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
DAYS = rb"(?:mon|tue|tues|wed|wednes|thu|thurs|fri|sat|satur|sun)(?:day)?"
NO_DATE = rb"(?!(?i:" + DAYS + rb"|" + MONTHS + rb")[,. \t])"
SENDER = (
    rb'(?:"[^"]*"\S*' + SP + rb"|" + NO_DATE + rb"\S+" + SP + rb"(?:at" + SP + rb"\S+" + SP + rb")?"
    + rb"|" + NO_DATE + rb"[^<>]{0,200}<\S*>" + SP + rb"|" + SP + rb")"
)  # fmt: skip
# Words are of any language; a month may be "???".
WEEKDAY = rb"(?:(?P<weekday>[^\s\d]{1,20})" + SP + rb")?"
ANY_MONTH = rb"(?P<month>[^\s\d,]{1,20}?)"
GAP = rb"(?:" + SP + rb"|-)"
ANY_DAY = rb"(?P<day>\d{1,2})(?:\.|st|nd|rd|th)?"
ANY_YEAR = rb"(?P<year>\d{4}|\d\d)"
ANY_CLOCK = (
    rb"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    rb"(?:[ \t]?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
ISO = rb"(?P<year>\d{4})[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)"
REST = rb"(?:" + SP + rb"[^\s\d]\S{0,39}){0,3}"
END = rb"(?:[ \t]*[^\s\d]\S{0,39})?" + REST + rb"(?:" + SP + rb"remote" + SP + rb"from\b.*)?[ \t]*"
LOOSE = tuple(
    re.compile(SENDER + date + END)
    for date in (
        WEEKDAY + ANY_MONTH + SP + ANY_DAY + rb",?" + SP + ANY_CLOCK + REST + SP + ANY_YEAR,
        WEEKDAY + ANY_DAY + GAP + ANY_MONTH + rb",?" + GAP + ANY_YEAR + rb",?" + SP + ANY_CLOCK,
        WEEKDAY + ANY_MONTH + SP + ANY_DAY + rb",?" + SP + rb"(?P<year>\d{4}),?" + SP + ANY_CLOCK,
        WEEKDAY + ISO + rb"(?:[Tt]|,?" + SP + rb")" + ANY_CLOCK,
        # nobody knows which of the two is the month
        WEEKDAY + rb"\d\d?[-/.]\d\d?[-/.](?:\d{4}|\d\d),?" + SP + ANY_CLOCK,
    )
)  # fmt: skip
DATELESS = re.compile(
    rb"-?[ \t]*|" + SENDER
    + rb"(?:" + DAY + rb",?" + SP + MONTH + SP + rb"\d{1,2},?" + SP + rb"\d{4}|\d{4}-\d\d-\d\d)[ \t]*"
)  # fmt: skip
FIELD_BELOW = re.compile(rb"(?:>From [^\n]{0,200}\n){0,3}[!-9;-~]{1,76}[ \t]*:(?!//)")
OFFSET = re.compile(rb"(?:(?<![A-Za-z@._-])|(?<=GMT)|(?<=UTC))([+-])(\d\d):?([0-5]\d)(?![\w.@-])")


def separator(data: bytes, at: int, blank: bool) -> tuple[int, int] | None:
    """Whether the "From " at a place of data, at the beginning of a line, separates
    messages, blank telling of an empty line above: the place of what follows the line, and
    the date in seconds or -1. LOOK bytes of it must be there, or the end of the file."""
    end = data.find(b"\n", at, at + LINE_MAX)
    if end < 0:
        return None
    line = data[at + 5 : end].rstrip(b"\r")
    field = FIELD_BELOW.match(data, end + 1) is not None
    if (blank or field) and (match := CTIME.match(line)):
        return end + 1, date_of(match)
    if blank:
        for pattern in STRICT:
            if match := pattern.search(line):
                return end + 1, date_of(match)
    if field:
        for pattern in LOOSE:
            if (match := pattern.fullmatch(line)) and is_date(match):
                return end + 1, date_of(match)
        if blank and DATELESS.fullmatch(line):
            return end + 1, -1
    return None


def is_date(match: re.Match[bytes]) -> bool:
    """A word that is no English month needs a weekday before it, and a whole year behind."""
    month = match.groupdict().get("month") or b"1"
    known = month.isdigit() or month[:3].lower() in NAMES or month == b"???"
    return known or bool(match["weekday"]) and len(match["year"]) == 4


def date_of(match: re.Match[bytes]) -> int:
    """In seconds; in UTC unless there is a number for the zone. -1 if it is no date."""
    found = match.groupdict()
    if not found.get("year"):
        return -1
    month, year, hour = found["month"], int(found["year"]), int(found["hour"])
    if not month.isdigit():
        month = NAMES.index(month[:3].lower()) + 1 if month[:3].lower() in NAMES else 0
    if year < 100:
        year += 2000 if year < 70 else 1900
    if half := found.get("half"):
        hour = hour % 12 + (12 if half in b"pP" else 0)
    when = year, int(month), int(found["day"]), hour, int(found["minute"]), int(found["second"] or 0)
    if not (1970 <= when[0] < 2100 and 1 <= when[1] <= 12 and 1 <= when[2] <= 31):
        return -1
    if not (when[3] < 24 and when[4] < 60 and when[5] <= 60):
        return -1
    seconds = calendar.timegm(when + (0, 0, 0))
    if zone := OFFSET.search(match.string, match.end("second") if found["second"] else match.end("minute")):
        shift = int(zone[2]) * 3600 + int(zone[3]) * 60
        seconds -= shift if zone[1] == b"+" else -shift
    return seconds if seconds > 0 else -1
