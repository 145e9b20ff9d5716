"""Record what Python and NumPy say of times, for starlib/library_test.go.

    python3.13 -m venv venv && venv/bin/pip install numpy
    venv/bin/python starlib/testdata/python/time.py > starlib/testdata/python/time.json

Each row is [expression of the task file language, the repr of the value here,
or null where Python or NumPy raises an error].
"""
import os
import sys

sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]

import datetime
import json
import random
from zoneinfo import ZoneInfo

import numpy as np

rng = random.Random(20261124)
rows = []


def lit(x):
    if isinstance(x, (list, tuple)):
        return "[" + ", ".join(lit(v) for v in x) + "]"
    if isinstance(x, str):
        return json.dumps(x, ensure_ascii=False)
    return repr(x)


def add(expression, fn):
    try:
        value = lit(fn())
    except (ValueError, OverflowError):
        value = None
    rows.append([expression, value])


def made(t, zone="UTC"):
    parts = [t.year, t.month, t.day]
    for name in ["hour", "minute", "second"]:
        if getattr(t, name):
            parts.append(f"{name} = {getattr(t, name)}")
    if t.microsecond:
        parts.append(f"nanosecond = {t.microsecond * 1000}")
    if zone != "UTC":
        parts.append(f"location = {lit(zone)}")
    return "time.time(" + ", ".join(map(str, parts)) + ")"


def moment(low=1, high=9999):
    return datetime.datetime(rng.randint(low, high), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59),
                             rng.randint(0, 59), rng.randint(0, 999999), tzinfo=datetime.timezone.utc)


def day(y, m, d, *clock):
    return datetime.datetime(y, m, d, *clock, tzinfo=datetime.timezone.utc)


# The turn of each kind of year: all weekdays of 1 January, leap years and others.
turns = [day(y, m, d) for y in [1999, 2000, 2004, 2005, 2006, 2008, 2009, 2010, 2012, 2015, 2016, 2017, 2020, 2021, 2024, 2026]
         for m, d in [(1, 1), (1, 4), (12, 31)]]
times = turns + [day(1, 1, 1), day(9999, 12, 31, 23, 59, 59), day(1969, 12, 31, 23), day(2024, 2, 29)] + [moment(1000) for _ in range(30)]

for t in times:
    add(f"list({made(t)}.iso_calendar())", lambda: list(t.isocalendar()))
    add(f"[{made(t)}.weekday, {made(t)}.iso_weekday, {made(t)}.yearday]", lambda: [t.weekday(), t.isoweekday(), t.timetuple().tm_yday])
    if t.year >= 1000:  # below, the C library leaves the zeros of %Y out
        add(f'{made(t)}.format("%G-W%V-%u %w %U %W %j %Y %y")', lambda: t.strftime("%G-W%V-%u %w %U %W %j %Y %y"))
        add(f'str(time.parse({lit(t.strftime("%G-W%V-%u"))}, format = "%G-W%V-%u"))', lambda: t.strftime("%Y-%m-%dT00:00:00Z"))


def parsed(text, format):
    add(f"str(time.parse({lit(text)}, format = {lit(format)}))",
        lambda: datetime.datetime.strptime(text, format).strftime("%Y-%m-%dT%H:%M:%SZ"))


for year in [2000, 2006, 2012, 2017, 2023, 2024, 2026]:
    for week in [0, 1, 2, 52, 53]:
        for weekday in rng.sample(range(7), 3):
            parsed(f"{year} {week} {weekday}", "%Y %U %w")
            parsed(f"{year} {week} {weekday}", "%Y %W %w")
            parsed(f"{year} {week} {weekday + 1}", "%G %V %u")
for text, format in [("2026 10", "%Y %U"), ("2026 10", "%Y %W"), ("2026 10", "%G %V"), ("2026 10 1", "%Y %V %u"), ("2026 1", "%G %u"),
                     ("2026 10 Mon", "%G %V %a"), ("2026 10 sunday", "%G %V %A"), ("2026 10 Sun", "%Y %U %a"), ("2026 10 Sun", "%Y %W %a"),
                     ("2026 54 1", "%Y %U %w"), ("2026 10 8", "%G %V %u"), ("2026 10 0", "%G %V %u"), ("2026 10 7", "%Y %U %w"),
                     ("2026 100 1", "%G %j %u"), ("2026-075", "%Y-%j"), ("2024-366", "%Y-%j"), ("5 10", "%u %V"), ("2026 3 5 Mon", "%Y %m %d %a"),
                     ("26 10 1", "%y %U %w"), ("2026 5 3 100", "%Y %U %w %j"), ("9999 53 6", "%Y %U %w")]:
    parsed(text, format)

for t in times[:40]:
    part = rng.choice(["year", "month", "day", "hour", "minute", "second"])
    value = rng.choice({"year": [1, 2023, 2024, 9999, 0, 10000], "month": [1, 2, 12, 0, 13], "day": [1, 28, 29, 30, 31, 0, 32],
                        "hour": [0, 23, 24, -1], "minute": [0, 59, 60], "second": [0, 59, 60]}[part])
    add(f"{made(t)}.replace({part} = {value}).format(\"%Y-%m-%d %H:%M:%S.%f\")",
        lambda: t.replace(**{part: value}).isoformat(sep=" ", timespec="microseconds")[:26])
for parts in [(2026, 2, 29), (2024, 2, 29), (2026, 4, 31), (2026, 13, 1), (0, 1, 1), (2026, 1, 1, 24), (2026, 1, 1, 23, 59, 59), (2026, 1, 1, 0, 60)]:
    add(f"str(time.time({', '.join(map(str, parts))}))", lambda: datetime.datetime(*parts).isoformat() + "Z")
for zone in ["Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Tokyo"]:
    for t in [moment(1980, 2037) for _ in range(4)]:
        there = t.replace(tzinfo=ZoneInfo(zone))
        add(f"[{made(t, zone)}.unix, {made(t, zone)}.hour]", lambda: [int(there.timestamp() // 1), there.hour])
        other = t.astimezone(ZoneInfo(zone))
        add(f"list({made(t)}.in_zone({lit(zone)}).iso_calendar())", lambda: list(other.isocalendar()))
        add(f'{made(t)}.replace(location = {lit(zone)}).unix', lambda: int(there.timestamp() // 1))

# The start of a month, a quarter and the like is NumPy's unit of that name.
for t in [moment(1000) for _ in range(25)] + [day(1969, 12, 31, 23, 59), day(1970, 1, 1), day(1960, 2, 29, 1)]:
    at = np.datetime64(t.replace(tzinfo=None), "us")
    for unit, code in [("second", "s"), ("minute", "m"), ("hour", "h"), ("day", "D"), ("month", "M"), ("year", "Y")]:
        add(f'{made(t)}.truncate("{unit}").format("%Y-%m-%d %H:%M:%S")', lambda: str(at.astype(f"datetime64[{code}]").astype("datetime64[s]")).replace("T", " "))
    add(f'{made(t)}.truncate("week").format("%Y-%m-%d")', lambda: str((t - datetime.timedelta(days=t.weekday())).date()))
    for text, n, code in [("15m", 15, "m"), ("6h", 6, "h"), ("10s", 10, "s"), ("250ms", 250, "ms")]:
        add(f'{made(t)}.truncate(time.duration("{text}")).format("%Y-%m-%d %H:%M:%S.%f")',
            lambda: str(at.astype(f"datetime64[{n}{code}]").astype("datetime64[us]")).replace("T", " "))
for t in [moment(1000, 9000) for _ in range(15)]:
    months = np.datetime64(t.replace(tzinfo=None), "M")
    n = rng.randint(-2000, 2000)
    add(f'{made(t)}.replace(day = 1).add_months({n}).format("%Y-%m-%d")', lambda: str((months + np.timedelta64(n, "M")).astype("datetime64[D]")))
    last = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    want = (months + np.timedelta64(n + 1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    if int(str(last)[-2:]) >= int(str(want)[-2:]):  # the end of a month stays the end of a shorter one
        add(f'time.parse("{last}").add_months({n}).format("%Y-%m-%d")', lambda: str(want))

for text, delta in [("1d", {"days": 1}), ("2w", {"weeks": 2}), ("1w2d3h4m5s", {"weeks": 1, "days": 2, "hours": 3, "minutes": 4, "seconds": 5}),
                    ("1.5d", {"days": 1.5}), ("-36h", {"hours": -36}), ("0.25w", {"weeks": 0.25}), ("90m", {"minutes": 90})]:
    d = datetime.timedelta(**delta)
    add(f'time.duration("{text}").seconds', lambda: d.total_seconds())
    add(f'time.duration("{text}").days', lambda: d / datetime.timedelta(days=1))

HOLIDAYS = ["2026-12-25", "2026-12-26", "2026-01-01", "2026-04-03", "2026-04-06", "2026-12-25", "2027-01-01", "2026-05-01", "2026-05-04", "2026-05-05"]
dates = [np.datetime64("2026-01-01") + np.timedelta64(rng.randint(-5, 500), "D") for _ in range(40)]
dates += [np.datetime64(s) for s in ["1969-12-29", "1970-01-04", "0001-01-01", "9999-12-31", "2026-12-25", "2026-05-02", "2026-05-03"]]
for i, start in enumerate(dates):
    end = dates[(i * 7 + 3) % len(dates)]
    for holidays in [[], HOLIDAYS]:
        given = f", holidays = {lit(holidays)}" if holidays else ""
        add(f'time.business_days(time.parse("{start}"), time.parse("{end}"){given})', lambda: int(np.busday_count(start, end, holidays=holidays)))
        add(f'time.business_days(time.parse("{start}"), time.parse("{start}"){given})', lambda: int(np.busday_count(start, start, holidays=holidays)))
        n = rng.choice([0, 1, -1, 2, 5, -5, 7, 23, -30, 261, 10000, -20000])
        for roll in ["raise", "forward", "backward", "modifiedfollowing", "modifiedpreceding", "following", "preceding"]:
            if roll == "raise" or rng.random() < 0.5:
                def offset():
                    found = np.busday_offset(start, n, roll=roll, holidays=holidays)
                    if not np.datetime64("0001-01-01") <= found <= np.datetime64("9999-12-31"):
                        raise ValueError("no such year")
                    return str(found)
                add(f'time.parse("{start}").add_business_days({n}{given}, roll = "{roll}").format("%Y-%m-%d")', offset)
json.dump({"python": sys.version.split()[0], "numpy": np.__version__, "rows": rows}, sys.stdout, ensure_ascii=False, indent=0)
print()
