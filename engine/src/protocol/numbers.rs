//! Numbers as rsync writes them, read from the beginning of whatever is there. Nothing is allocated here.
//!
//! Up to protocol 29 numbers have four bytes, and those that may need more have eight behind a `-1`. From 30 on the
//! first byte says by its leading ones how many bytes more follow than there are at least; its other bits are the
//! highest of the number, whose remaining bytes come with the lowest first.

use super::entries::Malformed;

/// Why a number or an entry cannot be read.
pub(super) enum Stop {
    /// More must come first.
    Short,
    Malformed(Malformed),
}

impl From<Malformed> for Stop {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// What is left of a piece.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Stop::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Stop::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    /// Four bytes, and eight more where these are -1.
    pub(super) fn long(&mut self) -> Result<i64, Stop> {
        match i32::from_le_bytes(self.array()?) {
            -1 => self.array().map(i64::from_le_bytes),
            small => Ok(i64::from(small)),
        }
    }

    /// One to five bytes.
    pub(super) fn varint(&mut self) -> Result<i32, Stop> {
        let mut number = [0; 8];
        self.spread::<1>(4, &mut number)?;
        let [a, b, c, d, ..] = number;
        Ok(i32::from_le_bytes([a, b, c, d]))
    }

    /// `LEAST` to nine bytes.
    pub(super) fn varlong<const LEAST: usize>(&mut self) -> Result<i64, Stop> {
        let mut number = [0; 8];
        self.spread::<LEAST>(9 - LEAST, &mut number)?;
        Ok(i64::from_le_bytes(number))
    }

    /// Reads a number of at least `LEAST` bytes and at most `most` more.
    fn spread<const LEAST: usize>(&mut self, most: usize, number: &mut [u8; 8]) -> Result<(), Stop> {
        let taken = self.array::<LEAST>()?;
        let [first, low @ ..] = &taken[..] else { return Err(Stop::Short) };
        let extra = (first.leading_ones() as usize).min(6);
        if extra > most {
            return Err(Malformed::Number(*first).into());
        }
        let high = self.bytes(extra)?;
        let top = first & (0xff >> extra);
        let digits = low.iter().chain(high).chain([&top]);
        number.iter_mut().zip(digits).for_each(|(place, digit)| *place = *digit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::entries::tests::{varint, varlong};

    fn whole<T>(read: Result<T, Stop>) -> T {
        read.unwrap_or_else(|_| panic!("it is there"))
    }

    #[test]
    fn numbers_are_those_that_rsync_writes() {
        for (bytes, number) in [
            (&[0x7f][..], 0x7f),
            (&[0x80, 0x80], 0x80),
            (&[0xbf, 0xff], 0x3fff),
            (&[0xc0, 0x00, 0x40], 0x4000),
            (&[0xf0, 0xff, 0xff, 0xff, 0xff], -1),
        ] {
            assert_eq!((varint(number), whole(Cursor(bytes).varint())), (bytes.to_vec(), number));
        }
        let five_gigabytes = [0x81, 0x00, 0xf2, 0x05, 0x2a];
        assert_eq!(whole(Cursor(&[0x00, 0x05, 0x00]).varlong::<3>()), 5);
        assert_eq!(whole(Cursor(&five_gigabytes[..]).varlong::<4>()), 0x01_2a_05_f2_00);
    }

    #[test]
    fn numbers_with_more_bytes_than_there_are_places_are_refused() {
        let refused = |read: Result<i64, Stop>| matches!(read, Err(Stop::Malformed(Malformed::Number(_))));
        assert!(refused(Cursor(&[0xf8; 20]).varint().map(i64::from)));
        assert!(refused(Cursor(&[0xff; 20]).varlong::<4>()));
        assert!(!refused(Cursor(&[0xff; 20]).varlong::<3>()));
    }

    proptest! {
        #[test]
        fn every_number_comes_back_and_every_cut_is_short(number: i64, small: i32) {
            prop_assert_eq!(whole(Cursor(&varint(small)).varint()), small);
            prop_assert_eq!(whole(Cursor(&varlong(number, 3)).varlong::<3>()), number);
            prop_assert_eq!(whole(Cursor(&varlong(number, 4)).varlong::<4>()), number);
            let bytes = varlong(number, 4);
            for end in 0..bytes.len() {
                prop_assert!(matches!(Cursor(&bytes[..end]).varlong::<4>(), Err(Stop::Short)));
            }
        }
    }
}
