//! Values that look random but stay the same: `H` in a cron field, and the jitter of a schedule.
//!
//! The same seed gives the same value in every release and on every machine: a restart must not move a project.

/// A number that depends on every byte of every part, and on where each part ends.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    // FNV-1a over the bytes; the finish of SplitMix64 spreads differences into every bit.
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().copied().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// What an `H` stands for: each `step`th value of `first..=last`, or `first` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) step: Option<u32>,
}

/// Reads `H`, `H/15`, `H(0-29)` and `H(0-29)/10`; none if the text is something else. `bounds` is the range of a plain
/// `H`, `limits` what its own range must keep to.
pub(super) fn read(
    text: &str,
    bounds: (u32, u32),
    limits: (u32, u32),
    seed: &[&str],
) -> Option<Result<Spread, String>> {
    let rest = text.strip_prefix(['H', 'h'])?;
    if !(rest.is_empty() || rest.starts_with(['/', '('])) {
        return None;
    }
    Some(spread(text, rest, bounds, limits, seed))
}

fn spread(
    text: &str,
    rest: &str,
    bounds: (u32, u32),
    limits: (u32, u32),
    seed: &[&str],
) -> Result<Spread, String> {
    let malformed = || format!("`{text}` cannot be read: write `H`, `H/15`, `H(0-29)` or `H(0-29)/10`");
    let (range, step) = match rest.strip_prefix('(') {
        None => (None, rest),
        Some(rest) => rest.split_once(')').map(|(range, step)| (Some(range), step)).ok_or_else(malformed)?,
    };
    let (low, high) = match range {
        None => bounds,
        Some(range) => {
            let (low, high) = range.split_once('-').ok_or_else(malformed)?;
            (number(low).ok_or_else(malformed)?, number(high).ok_or_else(malformed)?)
        }
    };
    if low > high || low < limits.0 || high > limits.1 {
        return Err(format!("`{text}` must stay within {} to {}, lower end first", limits.0, limits.1));
    }
    let width = high - low + 1;
    let bytes: Vec<_> = seed.iter().map(|part| part.as_bytes()).collect();
    let pick = |width: u32| u32::try_from(hash(&bytes) % u64::from(width)).unwrap_or(0);
    if step.is_empty() {
        let first = low + pick(width);
        return Ok(Spread { first, last: first, step: None });
    }
    let step = step.strip_prefix('/').and_then(number).ok_or_else(malformed)?;
    if step == 0 || step > width {
        return Err(format!("the step of `{text}` must be 1 to {width}"));
    }
    let first = low + pick(step);
    let several = first + step <= high;
    Ok(Spread { first, last: if several { high } else { first }, step: several.then_some(step) })
}

/// A number in plain digits: no sign, no space.
pub(super) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: (u32, u32) = (0, 59);

    fn minute(text: &str, seed: &str) -> Result<Spread, String> {
        read(text, MINUTES, MINUTES, &[seed, "minute"]).unwrap()
    }

    #[test]
    fn the_values_of_a_seed_never_change_between_releases() {
        // Worked out from the definition of both algorithms by another program, not copied from this one.
        assert_eq!(hash(&[b"debian", b"minute"]), 0x50a0_51b7_5cb9_7c63);
        assert_eq!(minute("H", "debian").unwrap().first, 59);
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }

    #[test]
    fn many_seeds_reach_every_minute() {
        let reached: std::collections::BTreeSet<_> =
            (0..1000).map(|index| minute("H", &format!("project-{index}")).unwrap().first).collect();
        assert_eq!(reached.len(), 60);
    }

    #[test]
    fn a_range_and_a_step_bound_the_value() {
        for index in 0..200 {
            let seed = format!("p{index}");
            assert!((10..=19).contains(&minute("H(10-19)", &seed).unwrap().first));
            let steps = minute("H/15", &seed).unwrap();
            assert!(steps.first < 15 && steps.last == 59 && steps.step == Some(15));
            let alone = minute("H/60", &seed).unwrap();
            assert!(alone.first == alone.last && alone.step.is_none());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_names_are_left_alone() {
        for text in ["H(", "H()", "H(1)", "H(9-1)", "H(0-60)", "H/0", "H/61", "H/", "H(0-9)x", "H(+1-3)"] {
            assert!(minute(text, "p").is_err(), "{text}");
        }
        assert_eq!(read("HELLO", MINUTES, MINUTES, &[]), None);
        assert_eq!(read("5", MINUTES, MINUTES, &[]), None);
    }
}
