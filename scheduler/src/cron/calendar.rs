//! A set of wall times as bitsets, and the search for its next and its previous member.
//!
//! The wall times are plain calendar times without a zone. Which days a month has depends only on its length and the
//! weekday on which it begins, so 28 masks stand for the days of every month that will ever be; ISO weeks are looked
//! at on top. No search takes more steps than there are months in [`FIRST_YEAR`] to [`LAST_YEAR`], or days if ISO weeks
//! are bounded.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// The first year that a calendar can have.
pub(crate) const FIRST_YEAR: i32 = 1970;
/// The last year that is searched: what would fire later never fires.
pub(crate) const LAST_YEAR: i32 = 2199;

/// Wall times given as the sets of their parts; a time is a member if each of its parts is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(super) years: Years,
    pub(super) months: u64,
    pub(super) days: Days,
    /// ISO weeks; [`ANY`] bounds nothing.
    pub(super) weeks: u64,
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
}

/// A mask with every value of every unit.
pub(super) const ANY: u64 = u64::MAX;

/// Which years, from [`FIRST_YEAR`] to [`LAST_YEAR`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Years([u64; 4]);

/// Which days, for each length of a month and each weekday of its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Days([[u32; 7]; 4]);

/// All that decides which days of a month match.
#[derive(Clone, Copy, Debug)]
pub(super) struct MonthShape {
    /// 28 to 31 days.
    pub(super) length: u32,
    /// The weekday of the first day; Monday is 0.
    pub(super) begins: u32,
}

impl Calendar {
    /// The first member at or after `from`.
    pub(crate) fn first_at_or_after(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = self.date_at_or_after(from.date())?;
        if date > from.date() {
            return date.and_hms_opt(first(self.hours)?, first(self.minutes)?, first(self.seconds)?);
        }
        if let Some(time) = self.time_at_or_after(from.time()) {
            return Some(date.and_time(time));
        }
        let date = self.date_at_or_after(date.succ_opt()?)?;
        date.and_hms_opt(first(self.hours)?, first(self.minutes)?, first(self.seconds)?)
    }

    /// The last member at or before `until`.
    pub(crate) fn last_at_or_before(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = self.date_at_or_before(until.date())?;
        if date < until.date() {
            return date.and_hms_opt(last(self.hours)?, last(self.minutes)?, last(self.seconds)?);
        }
        if let Some(time) = self.time_at_or_before(until.time()) {
            return Some(date.and_time(time));
        }
        let date = self.date_at_or_before(date.pred_opt()?)?;
        date.and_hms_opt(last(self.hours)?, last(self.minutes)?, last(self.seconds)?)
    }

    /// Whether it has any member at all.
    pub(super) fn is_possible(&self) -> bool {
        NaiveDate::from_ymd_opt(FIRST_YEAR, 1, 1)
            .and_then(|first| self.first_at_or_after(first.and_time(NaiveTime::MIN)))
            .is_some()
    }

    fn time_at_or_after(&self, from: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute) = (from.hour(), from.minute());
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = next(self.seconds, from.second())
            {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
            if let Some(minute) = next(self.minutes, minute + 1) {
                return NaiveTime::from_hms_opt(hour, minute, first(self.seconds)?);
            }
        }
        NaiveTime::from_hms_opt(next(self.hours, hour + 1)?, first(self.minutes)?, first(self.seconds)?)
    }

    fn time_at_or_before(&self, until: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute) = (until.hour(), until.minute());
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = previous(self.seconds, until.second())
            {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
            if let Some(minute) = minute.checked_sub(1).and_then(|minute| previous(self.minutes, minute)) {
                return NaiveTime::from_hms_opt(hour, minute, last(self.seconds)?);
            }
        }
        let hour = hour.checked_sub(1).and_then(|hour| previous(self.hours, hour))?;
        NaiveTime::from_hms_opt(hour, last(self.minutes)?, last(self.seconds)?)
    }

    fn date_at_or_after(&self, from: NaiveDate) -> Option<NaiveDate> {
        for year in from.year().max(FIRST_YEAR)..=LAST_YEAR {
            if !self.years.has(year) {
                continue;
            }
            let begin = if year == from.year() { from.month() } else { 1 };
            for month in begin..=12 {
                let mut days = self.days_of(year, month);
                if (year, month) == (from.year(), from.month()) {
                    days &= ANY << from.day();
                }
                while let Some(day) = first(days) {
                    let date = NaiveDate::from_ymd_opt(year, month, day)?;
                    if self.has_week(date) {
                        return Some(date);
                    }
                    days &= days - 1;
                }
            }
        }
        None
    }

    fn date_at_or_before(&self, until: NaiveDate) -> Option<NaiveDate> {
        for year in (FIRST_YEAR..=until.year().min(LAST_YEAR)).rev() {
            if !self.years.has(year) {
                continue;
            }
            let end = if year == until.year() { until.month() } else { 12 };
            for month in (1..=end).rev() {
                let mut days = self.days_of(year, month);
                if (year, month) == (until.year(), until.month()) {
                    days &= !(ANY << (until.day() + 1));
                }
                while let Some(day) = last(days) {
                    let date = NaiveDate::from_ymd_opt(year, month, day)?;
                    if self.has_week(date) {
                        return Some(date);
                    }
                    days &= !(1 << day);
                }
            }
        }
        None
    }

    /// The matching days of one month, weeks aside.
    fn days_of(&self, year: i32, month: u32) -> u64 {
        if !has(self.months, month) {
            return 0;
        }
        MonthShape::of(year, month).map_or(0, |shape| self.days.of(shape))
    }

    fn has_week(&self, date: NaiveDate) -> bool {
        self.weeks == ANY || has(self.weeks, date.iso_week().week())
    }
}

impl Years {
    /// Every year.
    pub(super) const ANY: Self = Self([ANY; 4]);

    /// The years that `matches` names.
    pub(super) fn which(matches: impl Fn(u32) -> bool) -> Self {
        let mut words = [0; 4];
        for (word, first_year) in words.iter_mut().zip((FIRST_YEAR.unsigned_abs()..).step_by(64)) {
            *word = mask(0, 63, |bit| matches(first_year + bit));
        }
        Self(words)
    }

    fn has(&self, year: i32) -> bool {
        let index = usize::try_from(year - FIRST_YEAR).unwrap_or(usize::MAX);
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

impl Days {
    /// The days that `matches` names, asked once for every day of each shape that a month can have.
    pub(super) fn which(matches: impl Fn(MonthShape, u32) -> bool) -> Self {
        let mut table = [[0; 7]; 4];
        for (row, length) in table.iter_mut().zip(28..) {
            for (days, begins) in row.iter_mut().zip(0..) {
                let shape = MonthShape { length, begins };
                *days =
                    (1..=length).filter(|day| matches(shape, *day)).fold(0, |days, day| days | (1 << day));
            }
        }
        Self(table)
    }

    fn of(&self, shape: MonthShape) -> u64 {
        let row = self.0.get(shape.length.saturating_sub(28) as usize);
        row.and_then(|row| row.get(shape.begins as usize)).copied().unwrap_or(0).into()
    }
}

impl MonthShape {
    fn of(year: i32, month: u32) -> Option<Self> {
        let begin = NaiveDate::from_ymd_opt(year, month, 1)?;
        let length = begin.num_days_in_month().into();
        Some(Self { length, begins: begin.weekday().num_days_from_monday() })
    }

    /// The weekday of a day of the month; Monday is 0.
    pub(super) fn weekday(self, day: u32) -> u32 {
        (self.begins + day + 6) % 7
    }
}

/// The values of `low..=high` that `matches` names; all below 64.
pub(super) fn mask(low: u32, high: u32, matches: impl Fn(u32) -> bool) -> u64 {
    (low..=high).filter(|value| matches(*value)).fold(0, |mask, value| mask | (1 << value))
}

/// Whether `value`, below 64, is in the set.
pub(super) fn has(mask: u64, value: u32) -> bool {
    mask & (1 << value) != 0
}

/// The values of a set, in order.
pub(super) fn values(mask: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |value| has(mask, *value))
}

fn first(mask: u64) -> Option<u32> {
    (mask != 0).then(|| mask.trailing_zeros())
}

fn last(mask: u64) -> Option<u32> {
    mask.checked_ilog2()
}

fn next(mask: u64, from: u32) -> Option<u32> {
    first(mask & (ANY << from))
}

fn previous(mask: u64, until: u32) -> Option<u32> {
    last(mask & !(ANY << (until + 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    fn leap_day() -> Calendar {
        Calendar {
            years: Years::ANY,
            months: 1 << 2,
            days: Days::which(|_, day| day == 29),
            weeks: ANY,
            hours: 1 << 23,
            minutes: 1 << 59,
            seconds: 1 << 59,
        }
    }

    #[test]
    fn a_leap_day_is_found_across_a_year_without_one() {
        let calendar = leap_day();
        assert_eq!(calendar.first_at_or_after(at("2096-03-01 00:00:00")), Some(at("2104-02-29 23:59:59")));
        assert_eq!(calendar.last_at_or_before(at("2104-02-29 23:59:58")), Some(at("2096-02-29 23:59:59")));
        assert_eq!(calendar.last_at_or_before(at("2104-02-29 23:59:59")), Some(at("2104-02-29 23:59:59")));
    }

    #[test]
    fn nothing_is_found_outside_the_searched_years() {
        let calendar = leap_day();
        assert_eq!(calendar.first_at_or_after(at("2197-01-01 00:00:00")), None);
        assert_eq!(calendar.last_at_or_before(at("1972-02-29 23:59:58")), None);
        assert_eq!(calendar.first_at_or_after(at("1066-01-01 00:00:00")), Some(at("1972-02-29 23:59:59")));
        assert_eq!(calendar.last_at_or_before(at("4000-01-01 00:00:00")), Some(at("2196-02-29 23:59:59")));
    }

    /// Dense enough that walking second by second through a few days meets members, sparse enough to skip some.
    fn calendars() -> impl Strategy<Value = Calendar> {
        let days = proptest::collection::vec(any::<u32>(), 28);
        (1u64..0x1fff, days, 1u64..(1 << 24), 1u64..(1 << 60), 1u64..(1 << 60), any::<bool>()).prop_map(
            |(months, days, hours, minutes, seconds, weeks)| Calendar {
                years: Years::ANY,
                months,
                days: Days::which(|shape, day| {
                    let index = (shape.length - 28) * 7 + shape.begins;
                    days[index as usize] & (1 << day) != 0
                }),
                weeks: if weeks { 0x5555_5555_5555_5555 } else { ANY },
                hours,
                minutes,
                seconds,
            },
        )
    }

    fn is_member(calendar: &Calendar, time: NaiveDateTime) -> bool {
        has(calendar.days_of(time.year(), time.month()), time.day())
            && calendar.has_week(time.date())
            && has(calendar.hours, time.hour())
            && has(calendar.minutes, time.minute())
            && has(calendar.seconds, time.second())
    }

    proptest! {
        #[test]
        fn both_searches_agree_with_a_walk_second_by_second(
            calendar in calendars(), start in 946_684_800_i64..1_900_000_000,
        ) {
            let from = chrono::DateTime::from_timestamp(start, 0).unwrap().naive_utc();
            let steps = || (0..20_000).map(chrono::Duration::seconds);
            match (calendar.first_at_or_after(from), steps().map(|step| from + step).find(|it| is_member(&calendar, *it))) {
                (found, Some(walked)) => prop_assert_eq!(found, Some(walked)),
                (Some(found), None) => prop_assert!(found >= from + chrono::Duration::seconds(20_000)),
                (None, None) => {}
            }
            match (calendar.last_at_or_before(from), steps().map(|step| from - step).find(|it| is_member(&calendar, *it))) {
                (found, Some(walked)) => prop_assert_eq!(found, Some(walked)),
                (Some(found), None) => prop_assert!(found <= from - chrono::Duration::seconds(20_000)),
                (None, None) => {}
            }
        }
    }
}
