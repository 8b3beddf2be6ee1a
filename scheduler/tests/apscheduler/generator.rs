//! Cron fields and starting points that look like what people write, and what they write wrongly; always the same ones.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// Name, smallest and largest value, and the names of the values.
type Unit = (&'static str, u64, u64, &'static [&'static str]);

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "OCT", "Nov", "dec"];
const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "SAT", "Sun"];
const POSITIONS: &[&str] = &["1st", "2nd", "3rd", "4th", "5th", "last", "LAST"];
const UNITS: [Unit; 8] = [
    ("year", 1970, 2060, &[]),
    ("month", 1, 12, MONTHS),
    ("day", 1, 31, &[]),
    ("week", 1, 53, &[]),
    ("day_of_week", 0, 6, WEEKDAYS),
    ("hour", 0, 23, &[]),
    ("minute", 0, 59, &[]),
    ("second", 0, 59, &[]),
];

/// Single expressions at the edges of the grammar, which chance would seldom meet.
pub(crate) fn rare() -> impl Iterator<Item = (BTreeMap<String, String>, DateTime<Utc>)> {
    let texts = [
        ("day", "2nd\tfri"),
        ("day", "2nd fri\t"),
        ("day", "2nd fri,\tlast"),
        ("day", "2nd    fri"),
        ("day", "last  4"),
        ("day", "lastfri"),
        ("day", "last friday"),
        ("day", "last fri x"),
        ("day", "2nd fri-sat"),
        ("day", "6th fri"),
        ("day", "*/30"),
        ("day", "*/31"),
        ("day", "31-31"),
        ("day", "0-0"),
        ("day", "fri"),
        ("day", "lást"),
        ("month", "jan-"),
        ("month", "jan-mar/2"),
        ("month", "dec-jan"),
        ("month", "january"),
        ("month", "jan-mar-may"),
        ("month", "jan mar"),
        ("month", "1-mar"),
        ("day_of_week", "mon-fri/2"),
        ("day_of_week", "mon-4"),
        ("day_of_week", "sun-mon"),
        ("day_of_week", "7"),
        ("week", "53"),
        ("week", "1,53"),
        ("week", "*/52"),
        ("week", "*/53"),
        ("minute", "0-0/5"),
        ("minute", "0-0/59"),
        ("minute", "0-0/60"),
        ("minute", "0-0"),
        ("minute", "5-5/1"),
        ("minute", "59/1"),
        ("minute", "58/1"),
        ("minute", "*/0"),
        ("minute", "1/0"),
        ("minute", "00000000000000000000000000000005"),
        ("minute", "4294967297"),
        ("minute", "99999999999999999999"),
        ("minute", "99/1"),
        ("minute", "\t5\n"),
        ("minute", "5\n,6"),
        ("minute", "1,,2"),
        ("minute", ","),
        ("minute", ""),
        ("minute", "* /5"),
        ("minute", "*/5/5"),
        ("minute", "\u{a0}5\u{a0}"),
        ("year", "1969"),
        ("year", "9999"),
        ("year", "10000"),
        ("year", "*/8029"),
        ("year", "*/8030"),
        ("year", "2199"),
        ("year", "2200"),
    ];
    texts.into_iter().map(|(name, text)| ([(name.to_owned(), text.to_owned())].into(), DateTime::UNIX_EPOCH))
}

/// Pairs of fields and a start.
pub(crate) fn questions(count: usize) -> impl Iterator<Item = (BTreeMap<String, String>, DateTime<Utc>)> {
    let mut random = Random(2014);
    std::iter::repeat_with(move || (fields(&mut random), start(&mut random))).take(count)
}

/// `SplitMix64`: small, and the same in every release of every library.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
}

fn fields(random: &mut Random) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let share = random.between(2, 6);
    while fields.is_empty() {
        for unit in UNITS {
            // Years and weeks seldom: together with days they rarely leave a date.
            let share = if matches!(unit.0, "year" | "week") { share * 3 } else { share };
            if random.one_in(share) {
                fields.insert(unit.0.to_owned(), field(random, unit));
            }
        }
    }
    if random.one_in(300) {
        fields.insert(random.pick(&["Minute", "weekday", "millisecond"]).to_owned(), "1".to_owned());
    }
    fields
}

fn field(random: &mut Random, unit: Unit) -> String {
    let items = if random.one_in(4) { random.between(2, 4) } else { 1 };
    let mut text = expression(random, unit);
    for _ in 1..items {
        text += random.pick(&[",", ",", ",", " , ", ", "]);
        text += &expression(random, unit);
    }
    match random.below(60) {
        0 => broken(random, &text),
        1 => format!(" {text} "),
        _ => text,
    }
}

fn expression(random: &mut Random, unit: Unit) -> String {
    let (name, low, high, names) = unit;
    // Rarely a value beyond the bounds, or a range that runs backwards.
    let (low, high) = if random.one_in(80) { (low.saturating_sub(1), high + 2) } else { (low, high) };
    let first = random.between(low, high);
    let last = if random.one_in(40) { random.between(low, high) } else { random.between(first, high) };
    let step = match random.below(20) {
        0 => random.below(high - low + 3),
        1..5 => 1 + random.below(last - first.min(last) + 1),
        _ => 1 + random.below((high - low).min(12)),
    };
    match random.below(10) {
        0 => "*".to_owned(),
        1 | 2 => format!("*/{step}"),
        3 => format!("{first}-{last}/{}", if last > first { step.min(last - first) } else { step }),
        4 => format!("{first}/{step}"),
        5 | 6 => format!("{first}-{last}"),
        7 | 8 if name == "day" => match random.below(3) {
            0 => random.pick(&["last", "Last"]).to_owned(),
            _ => [random.pick(POSITIONS), random.pick(&[" ", "  "]), random.pick(WEEKDAYS)].concat(),
        },
        7 | 8 if !names.is_empty() => {
            let name = |value: u64| names[usize::try_from(value).unwrap() % names.len()];
            let base = low;
            if random.one_in(2) {
                name(first - base).to_owned()
            } else {
                format!("{}-{}", name(first - base), name(last - base))
            }
        }
        _ => random.pick(&[&first.to_string(), &format!("{first:03}")]).to_owned(),
    }
}

/// A text with one character too much, too few or replaced. `H` is not among them: it means something here only.
fn broken(random: &mut Random, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = usize::try_from(random.below(letters.len() as u64)).unwrap();
    let other = random.pick(&["*", "/", "-", ",", " ", "\t", "0", "9", "a", "l", "x", "+", ".", "#", "é"]);
    let other = other.chars().next().unwrap();
    match random.below(3) {
        0 => drop(letters.remove(at)),
        1 => letters[at] = other,
        _ => letters.insert(at, other),
    }
    letters.into_iter().collect()
}

/// From 1970 to 2060, often at the edge of a year, a month or a day, sometimes between two seconds.
fn start(random: &mut Random) -> DateTime<Utc> {
    let seconds = i64::try_from(random.below(90 * 31_556_952)).unwrap();
    let seconds = match random.below(4) {
        0 => seconds - seconds % 86_400,
        1 => seconds - seconds % 86_400 - 1,
        _ => seconds,
    };
    let text = DateTime::from_timestamp(seconds.max(0), 0).unwrap().format("%Y-%m-%dT%H:%M:%S").to_string();
    let text = match random.below(6) {
        0 => format!("{}-12-31T23:59:59", &text[..4]),
        1 => format!("{}-01-01T00:00:00", &text[..4]),
        2 => format!("{}-28T12:00:00", &text[..7]),
        _ => text,
    };
    let fraction = if random.one_in(5) { random.pick(&[".000001", ".5", ".999999"]) } else { "" };
    DateTime::parse_from_rfc3339(&format!("{text}{fraction}Z")).unwrap().to_utc()
}
