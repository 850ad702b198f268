"""What finished texts are held to where a schema names a format of dates and times (RFC 3339).

jsonschema_rs asserts all other formats well, but takes `,611-06-30` for a date.
"""

from __future__ import annotations

import re
from calendar import isleap

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_date(text: str) -> bool:
    """A `full-date`."""
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] + (month == 2 and isleap(year))


def is_time(text: str) -> bool:
    """A `full-time`; a leap second only at the end of a day in UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second = map(int, match.group(1, 2, 3))
    east = -1 if match[4] == "-" else 1
    offset_hour, offset_minute = int(match[5] or 0), int(match[6] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        return False
    minute_in_utc = (hour * 60 + minute - east * (offset_hour * 60 + offset_minute)) % (24 * 60)
    return second < 60 or minute_in_utc == 24 * 60 - 1


def is_date_time(text: str) -> bool:
    """A `date-time`, with T between date and time."""
    return len(text) > 10 and text[10] in "Tt" and is_date(text[:10]) and is_time(text[11:])


ASSERTED_FORMATS = {"date": is_date, "time": is_time, "date-time": is_date_time}
