//! The end of a certificate's validity (RFC 5280, 4.1): the one thing of it that people are told beforehand.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// People are told of an end that is so near.
const NEAR: Duration = Duration::from_hours(14 * 24);

/// Tags of DER.
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Returns the time after which a certificate in DER is not valid, or `None` if that cannot be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<DateTime<Utc>> {
    period(certificate).map(|(_, end)| end)
}

/// Returns the first and the last moment at which a certificate in DER is valid, or `None` if they
/// cannot be read.
pub(super) fn period(certificate: &[u8]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;

    // Version (which may be missing), serial number, signature and issuer stand before it.
    for expected in [VERSION, INTEGER, SEQUENCE, SEQUENCE] {
        match element(fields)? {
            (tag, _, rest) if tag == expected => fields = rest,
            _ if expected == VERSION => {}
            _ => return None,
        }
    }

    let (_, validity, _) = element(fields).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (begin, rest) = time(validity)?;
    let (end, _) = time(rest)?;
    Some((begin, end))
}

/// The time at which DER begins, and what stands behind it.
fn time(bytes: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (tag, time, rest) = element(bytes)?;
    let text = std::str::from_utf8(time).ok()?;
    let full = match tag {
        // Two digits of a year are of 1950 to 2049.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ").ok().map(|time| (time.and_utc(), rest))
}

/// Returns a sentence about an end that is near or over, or `None` if it is far.
pub(crate) fn warning(end: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    let left = end - now;
    let renew = "renew it, then reload the server (SIGHUP)";
    if left <= chrono::Duration::zero() {
        return Some(format!("the certificate expired at {}: {renew}", crate::view::time(end)));
    }
    let is_near = left.to_std().is_ok_and(|left| left < NEAR);
    let days = left.num_days();
    is_near.then(|| format!("the certificate expires at {}, in {days} days: {renew}", crate::view::time(end)))
}

/// The first element of DER: its tag, its content, and what stands behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // More bytes than four would be no certificate of ours.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl x509 -outform DER` writes, as far as it is looked at.
    fn certificate(version: &[u8], time: &[u8]) -> Vec<u8> {
        let wrapped = |tag, content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            [&[tag, 0x81, length], content].concat()
        };
        let validity = wrapped(SEQUENCE, &[&wrapped(UTC_TIME, b"250101000000Z")[..], time].concat());
        let (serial, empty) = (wrapped(INTEGER, &[7]), wrapped(SEQUENCE, b""));
        let fields = [version, &serial[..], &empty, &empty, &validity].concat();
        wrapped(SEQUENCE, &wrapped(SEQUENCE, &fields))
    }

    #[test]
    fn the_end_is_read_in_both_spellings_and_nothing_breaks_on_less() {
        let version = [VERSION, 3, 2, 1, 2];
        let near = certificate(&version, b"\x17\x0d270102030405Z");
        assert_eq!(crate::view::time(not_after(&near).unwrap()), "2027-01-02T03:04:05Z");
        let far = certificate(&[], b"\x18\x0f20510102030405Z");
        assert_eq!(crate::view::time(not_after(&far).unwrap()), "2051-01-02T03:04:05Z");
        for end in 0..near.len() {
            assert_eq!(not_after(&near[..end]), None, "{end}");
        }
    }

    #[test]
    fn an_end_is_said_two_weeks_before() {
        let end = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let before = |days| warning(end, end - chrono::Duration::days(days));
        assert_eq!(before(15), None);
        assert!(before(13).unwrap().contains("in 13 days"));
        assert!(before(-1).unwrap().contains("expired"));
    }
}
