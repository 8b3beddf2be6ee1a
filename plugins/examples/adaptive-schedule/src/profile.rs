//! When an upstream has news: how likely, by the quarter of the day, and how soon after the last ones.
//!
//! When something new came is known only between two looks: after the one that did not see it, and before the one that
//! did. Each news is spread over the quarters between the two, more where other news have been (the usual iteration for
//! such observations), so that even rare looks end in a sharp picture. Looks are then spread over the day by the square
//! root of what is to be expected, which is what keeps the copy freshest for a given number of them.

use std::time::Duration;

use heliostat_plugin::time::LocalTime;
use heliostat_plugin::{Finished, News};

use crate::{ENOUGH_NEWS, ENOUGH_TIME};

/// Quarters of an hour in a day.
const QUARTERS: usize = 96;
const QUARTER_MS: u64 = 15 * 60_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// How often the spread is refined.
const ROUNDS: usize = 12;

/// The share of the news that is taken to come at any time at all, so that no hour is given up.
const ANY_TIME: f64 = 0.15;

/// Between two news less than this share of the shortest usual gap apart, looks are rare.
const CALM: f64 = 0.6;
/// How rare.
const CALM_FACTOR: f64 = 0.3;

/// What is known of one upstream.
#[derive(Debug)]
pub struct Profile {
    /// How many news to expect in each quarter, as a share of those of a day. They add up to 1.
    quarters: [f64; QUARTERS],
    /// For so long after the last news there are hardly any others.
    calm: Duration,
}

impl Profile {
    /// What the news of a project tell; `None` while they are too few, or of too short a time.
    pub fn learn(run: &Finished) -> Option<Self> {
        let news: Vec<&News> = run.news.iter().filter(|news| news.unseen_ms < news.found_ms).collect();
        let oldest = news.iter().map(|news| news.found_ms).min()?;
        let seen = Duration::from_millis(run.now_ms.saturating_sub(oldest));
        if news.len() < ENOUGH_NEWS || seen < ENOUGH_TIME {
            return None;
        }
        Some(Self { quarters: spread(&news, run.utc_offset_minutes), calm: calm(&news) })
    }

    /// How long to wait before the next look. Walks through the time to come, and stops where the looks that are due
    /// add up to one; `own` is the project's own pause, `effort` the share of its looks to make.
    pub fn next_look(&self, run: &Finished, own: Duration, effort: f64) -> Duration {
        let own_quarters = (own.as_secs_f64() / 900.0).max(0.01);
        let looks_a_day = effort * 96.0 / own_quarters;
        let roots: f64 = self.quarters.iter().map(|share| share.sqrt()).sum();
        let last_new = run.news.iter().map(|news| news.found_ms).max().unwrap_or_default();
        let calm_until = last_new.saturating_add(u64::try_from(self.calm.as_millis()).unwrap_or(u64::MAX));

        let mut due = 0.0;
        let mut at = run.now_ms;
        // A day holds every quarter once: what is not due by then is bounded by the settings anyway.
        while at < run.now_ms.saturating_add(DAY_MS) {
            let share = self.quarters.get(quarter(at, run.utc_offset_minutes)).copied().unwrap_or_default();
            let calm = if at < calm_until { CALM_FACTOR } else { 1.0 };
            let rate = looks_a_day * share.sqrt() / roots * calm;
            // To the end of this quarter, or to the moment at which the look is due.
            let rest = QUARTER_MS - at % QUARTER_MS;
            let step = rate * ratio(rest, QUARTER_MS);
            if due + step >= 1.0 {
                let part = (1.0 - due) / rate;
                return Duration::from_millis(at - run.now_ms) + Duration::from_secs_f64(part * 900.0);
            }
            due += step;
            at += rest;
        }
        Duration::from_millis(DAY_MS)
    }
}

/// The quarter of the local day in which a moment lies. Offsets are whole quarters in every zone of today.
fn quarter(ms: u64, utc_offset_minutes: i32) -> usize {
    LocalTime::new(ms, utc_offset_minutes).minute_of_day() as usize / 15
}

/// The share of the day's news in each quarter.
fn spread(news: &[&News], utc_offset_minutes: i32) -> [f64; QUARTERS] {
    #[expect(clippy::cast_precision_loss, reason = "at most 100 news and 96 quarters")]
    let (count, even) = (news.len() as f64, 1.0 / QUARTERS as f64);
    let spans: Vec<Vec<(usize, f64)>> = news.iter().map(|news| pieces(news, utc_offset_minutes)).collect();
    let mut quarters = [even; QUARTERS];
    for _ in 0..ROUNDS {
        let mut next = [0.0; QUARTERS];
        for pieces in &spans {
            let all: f64 = pieces.iter().map(|(index, part)| quarters[*index] * part).sum();
            for &(index, part) in pieces {
                next[index] += quarters[index] * part / all / count;
            }
        }
        quarters = smooth(&next).map(|share| (1.0 - ANY_TIME) * share + ANY_TIME * even);
    }
    quarters
}

/// The quarters between the look that saw nothing and the one that did, each with how much of it lies between. A gap of
/// more than a day says nothing about the hour beyond its last day.
fn pieces(news: &News, utc_offset_minutes: i32) -> Vec<(usize, f64)> {
    let mut at = news.unseen_ms.max(news.found_ms.saturating_sub(DAY_MS));
    let mut pieces = Vec::new();
    while at < news.found_ms {
        let rest = (QUARTER_MS - at % QUARTER_MS).min(news.found_ms - at);
        pieces.push((quarter(at, utc_offset_minutes), ratio(rest, QUARTER_MS)));
        at += rest;
    }
    pieces
}

/// News that came at ten past once come at twenty past another day.
fn smooth(quarters: &[f64; QUARTERS]) -> [f64; QUARTERS] {
    std::array::from_fn(|index| {
        let before = quarters[(index + QUARTERS - 1) % QUARTERS];
        let after = quarters[(index + 1) % QUARTERS];
        0.25 * before + 0.5 * quarters[index] + 0.25 * after
    })
}

/// How long there are hardly ever news after news: by the shortest tenth of the gaps, each as short as it may have been.
/// Where every look finds something, that is nothing at all.
fn calm(news: &[&News]) -> Duration {
    let mut times: Vec<(u64, u64)> = news.iter().map(|news| (news.unseen_ms, news.found_ms)).collect();
    times.sort_unstable();
    let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].1)).collect();
    gaps.sort_unstable();
    let short = gaps.get(gaps.len() / 10).copied().unwrap_or_default();
    Duration::from_millis(short).mul_f64(CALM)
}

#[expect(clippy::cast_precision_loss, reason = "both are parts of a quarter of an hour")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
