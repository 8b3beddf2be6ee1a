"""Answers of the real APScheduler 3, for apscheduler.rs to compare with.

Reads lines of JSON from stdin: {"fields": {"minute": "*/5"}, "start": microseconds since 1970, "end": the same}.
Writes a line for each: {"fires": [seconds since 1970, ...]} with the first three times from the start to the end,
both included, or {"error": "..."} if the fields are refused. "dropped" is true if APScheduler accepted an expression
but looked only at its beginning.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.cron.fields import SEPARATOR

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def instant(microseconds):
    return EPOCH + timedelta(microseconds=microseconds)


def dropped(trigger, given):
    """Whether an expression continues behind what the pattern that accepted it has matched."""
    for field in trigger.fields:
        if field.name not in given:
            continue
        for text in SEPARATOR.split(str(given[field.name]).strip()):
            matches = (compiler.value_re.match(text) for compiler in field.COMPILERS)
            accepted = next(match for match in matches if match)
            if accepted.end() != len(text):
                return True
    return False


def answer(fields, start, end):
    try:
        trigger = CronTrigger(timezone=timezone.utc, start_date=instant(start), end_date=instant(end), **fields)
    except (TypeError, ValueError) as error:
        return {"error": str(error)}
    fires = []
    previous, now = None, instant(start) - timedelta(days=1)
    while len(fires) < 3:
        previous = trigger.get_next_fire_time(previous, now)
        if previous is None:
            break
        fires.append(round((previous - EPOCH).total_seconds()))
        now = previous + timedelta(seconds=1)
    return {"fires": fires, "dropped": dropped(trigger, fields)}


for line in sys.stdin:
    print(json.dumps(answer(**json.loads(line))))
