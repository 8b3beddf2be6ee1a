//! The eight units that a calendar counts in, with their bounds and names.

/// A unit of time that has a cron field, from the most to the least significant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Year,
    Month,
    Day,
    /// Of the ISO calendar.
    Week,
    /// From Monday, which is 0.
    DayOfWeek,
    Hour,
    Minute,
    Second,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Unit {
    /// In the order in which defaults are filled in.
    pub(super) const ALL: [Self; 8] = [
        Self::Year,
        Self::Month,
        Self::Day,
        Self::Week,
        Self::DayOfWeek,
        Self::Hour,
        Self::Minute,
        Self::Second,
    ];

    /// The key of the field.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Week => "week",
            Self::DayOfWeek => "day_of_week",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    /// The smallest and the largest value, both included.
    pub(super) fn bounds(self) -> (u32, u32) {
        match self {
            Self::Year => (1970, 9999),
            Self::Month => (1, 12),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::DayOfWeek => (0, 6),
            Self::Hour => (0, 23),
            Self::Minute | Self::Second => (0, 59),
        }
    }

    /// The range of which `H` takes a value; only values that each month and each year have. A year cannot be spread.
    pub(super) fn spread(self) -> Option<(u32, u32)> {
        match self {
            Self::Year => None,
            Self::Day => Some((1, 28)),
            Self::Week => Some((1, 52)),
            other => Some(other.bounds()),
        }
    }

    /// The short names of the values, from the smallest value on.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }

    /// The value of a short name, in any case.
    pub(super) fn named(self, name: &str) -> Option<u32> {
        let index = self.names().iter().position(|known| known.eq_ignore_ascii_case(name))?;
        u32::try_from(index).ok().map(|index| index + self.bounds().0)
    }
}
