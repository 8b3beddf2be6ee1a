//! The eight cron fields of `APScheduler`: all conditions must hold together.

use std::collections::BTreeMap;

use super::ScheduleError;
use super::calendar::{ANY, Calendar, Days, LAST_YEAR, Years, mask};
use super::expression::Expression;
use super::unit::Unit;

/// Fields that were read, with the defaults of those that were not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronFields {
    given: BTreeMap<String, String>,
    /// In the order of [`Unit::ALL`].
    fields: Vec<Field>,
    calendar: Calendar,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) unit: Unit,
    pub(super) expressions: Vec<Expression>,
}

impl CronFields {
    /// Reads the fields that are given: a key such as `minute` with an expression such as `*/5`. `seed` is what `H`
    /// takes its value from: the same seed always gives the same times.
    ///
    /// # Errors
    ///
    /// Every field that cannot be read, in the order of the fields; and a calendar without a single date up to the
    /// year 2199. Whether all its dates have passed is not seen here, because that changes with time.
    pub fn parse(given: &BTreeMap<String, String>, seed: &str) -> Result<Self, Vec<ScheduleError>> {
        let mut errors = Vec::new();
        for name in given.keys().filter(|name| Unit::ALL.iter().all(|unit| unit.name() != *name)) {
            let known = Unit::ALL.map(Unit::name).join(", ");
            errors.push(ScheduleError::new(name, format!("is not a cron field; they are {known}")));
        }
        let Some(least) = Unit::ALL.iter().rposition(|unit| given.contains_key(unit.name())) else {
            errors.push(ScheduleError::new(
                "",
                "gives no field, which would be every second: write `second` as `*`",
            ));
            return Err(errors);
        };
        let mut fields = Vec::with_capacity(Unit::ALL.len());
        for (index, unit) in Unit::ALL.into_iter().enumerate() {
            let text = given.get(unit.name()).map_or_else(|| default(unit, index < least), String::as_str);
            match Field::parse(unit, text, seed) {
                Ok(field) => fields.push(field),
                Err(message) => errors.push(ScheduleError::new(unit.name(), message)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let calendar = calendar(&fields);
        let read = Self { given: given.clone(), fields, calendar };
        if read.calendar.is_possible() { Ok(read) } else { Err(vec![read.impossible()]) }
    }

    /// The fields as they were given, `H` included.
    #[must_use]
    pub fn given(&self) -> &BTreeMap<String, String> {
        &self.given
    }

    /// All eight fields from the year to the second, with defaults filled in and each `H` as the value that it has.
    #[must_use]
    pub fn filled(&self) -> [(&'static str, String); 8] {
        Unit::ALL.map(|unit| {
            let field = self.fields.iter().find(|field| field.unit == unit);
            (unit.name(), field.map(Field::text).unwrap_or_default())
        })
    }

    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    pub(super) fn expressions(&self, unit: Unit) -> &[Expression] {
        self.fields.iter().find(|field| field.unit == unit).map_or(&[], |field| &field.expressions)
    }

    /// Only dates can contradict each other; any hour, minute and second go together.
    fn impossible(&self) -> ScheduleError {
        let dates = self.filled().into_iter().take(5).filter(|(_, text)| text != "*");
        let parts: Vec<_> = dates.map(|(name, text)| format!("{name} `{text}`")).collect();
        ScheduleError::new(
            "",
            format!("never fires: up to the year {LAST_YEAR} no date has {}", parts.join(" and ")),
        )
    }
}

impl Field {
    fn parse(unit: Unit, text: &str, seed: &str) -> Result<Self, String> {
        let items = text.trim().split(',').map(|item| item.trim_matches(' '));
        let expressions = items.map(|item| Expression::parse(item, unit, seed)).collect::<Result<_, _>>()?;
        Ok(Self { unit, expressions })
    }

    fn matches(&self, value: u32) -> bool {
        self.expressions.iter().any(|expression| expression.matches(value, self.unit))
    }

    fn text(&self) -> String {
        self.expressions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// A field above the least significant one that is given is free, one below has its minimum.
fn default(unit: Unit, above: bool) -> &'static str {
    match unit {
        _ if above => "*",
        Unit::Year | Unit::Week | Unit::DayOfWeek => "*",
        Unit::Month | Unit::Day => "1",
        Unit::Hour | Unit::Minute | Unit::Second => "0",
    }
}

fn calendar(fields: &[Field]) -> Calendar {
    let field = |unit: Unit| fields.iter().find(|field| field.unit == unit);
    let is_free =
        |unit: Unit| field(unit).is_none_or(|field| field.expressions == [Expression::All { step: None }]);
    let mask = |unit: Unit| {
        let (low, high) = unit.bounds();
        mask(low, high, |value| field(unit).is_none_or(|field| field.matches(value)))
    };
    let weekdays = mask(Unit::DayOfWeek);
    let days = field(Unit::Day);
    Calendar {
        years: if is_free(Unit::Year) {
            Years::ANY
        } else {
            Years::which(|year| field(Unit::Year).is_none_or(|field| field.matches(year)))
        },
        months: mask(Unit::Month),
        days: Days::which(|shape, day| {
            weekdays & (1 << shape.weekday(day)) != 0
                && days.is_none_or(|field| field.expressions.iter().any(|it| it.matches_day(day, shape)))
        }),
        weeks: if is_free(Unit::Week) { ANY } else { mask(Unit::Week) },
        hours: mask(Unit::Hour),
        minutes: mask(Unit::Minute),
        seconds: mask(Unit::Second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn errors(fields: &[(&str, &str)]) -> Vec<String> {
        CronFields::parse(&given(fields), "p").unwrap_err().iter().map(ToString::to_string).collect()
    }

    fn filled(fields: &[(&str, &str)]) -> String {
        let read = CronFields::parse(&given(fields), "p").unwrap();
        read.filled().map(|(_, text)| text).join(" ")
    }

    #[test]
    fn fields_above_the_least_significant_given_one_are_free_and_those_below_have_their_minimum() {
        assert_eq!(filled(&[("minute", "*/5")]), "* * * * * * */5 0");
        assert_eq!(filled(&[("hour", "3")]), "* * * * * 3 0 0");
        assert_eq!(filled(&[("day", "1")]), "* * 1 * * 0 0 0");
        assert_eq!(filled(&[("week", " 5 , 7")]), "* * * 5,7 * 0 0 0");
        assert_eq!(filled(&[("year", "2030")]), "2030 1 1 * * 0 0 0");
        assert_eq!(filled(&[("day", "last, 2ND fri"), ("second", "30")]), "* * last,2nd fri * * * * 30");
    }

    #[test]
    fn each_wrong_field_is_named_with_its_expression() {
        let errors = errors(&[("minute", "*/5,61"), ("hour", "noon"), ("minutes", "1")]);
        assert_eq!(errors.len(), 3);
        assert!(
            errors[0].starts_with("`schedule.cron.minutes`: is not a cron field; they are year, month"),
            "{errors:?}"
        );
        assert!(errors[1].starts_with("`schedule.cron.hour`: `noon` cannot be read"), "{errors:?}");
        assert_eq!(errors[2], "`schedule.cron.minute`: `61` is outside of 0 to 59");
    }

    #[test]
    fn a_date_that_never_comes_is_refused_with_the_reason() {
        let text = errors(&[("day", "31"), ("month", "2")]).join("");
        assert_eq!(
            text,
            "`schedule.cron`: never fires: up to the year 2199 no date has month `2` and day `31`"
        );
        assert!(errors(&[("day", "1st mon"), ("week", "10"), ("month", "jun")])[0].contains("never fires"));
        assert!(errors(&[("year", "2200")])[0].contains("year `2200`"));
        assert!(errors(&[])[0].contains("every second"));
    }

    #[test]
    fn h_is_shown_as_given_and_as_the_value_it_stands_for() {
        let fields = given(&[("minute", "H/20"), ("day", "H")]);
        let read = CronFields::parse(&fields, "debian").unwrap();
        assert_eq!(read.given(), &fields);
        let again = CronFields::parse(&read.filled().map(|(name, text)| (name.to_owned(), text)).into(), "x")
            .unwrap();
        assert_eq!(read.calendar(), again.calendar());
        assert_ne!(read.calendar(), CronFields::parse(&fields, "ubuntu").unwrap().calendar());
    }
}
