//! Dates as people write them.
use chrono::{DateTime, Utc};
/// Parses.
pub fn parse(text: &str, _zone: chrono_tz::Tz) -> Result<DateTime<Utc>, chrono::ParseError> {
    DateTime::parse_from_rfc3339(text).map(Into::into)
}
