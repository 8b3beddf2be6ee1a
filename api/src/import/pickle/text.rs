//! The texts of protocols 0 to 2 that are written with escapes.

use super::PickleError;

/// `'it\'s'`: a text of Python 2 as its `repr` shows it.
pub(super) fn quoted(line: &[u8]) -> Result<Vec<u8>, PickleError> {
    let wrong = PickleError::Damaged("a quoted text is not quoted");
    let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = line else { return Err(wrong) };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().ok_or(wrong.clone())? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                u8::try_from(hexadecimal(&mut rest, 2).ok_or(wrong.clone())?).map_err(|_| wrong.clone())?
            }
            plain @ (b'\\' | b'\'' | b'"') => plain,
            _ => return Err(wrong),
        });
    }
    Ok(bytes)
}

/// `gr\u00fc\xdf`: Latin-1, with `\u` and `\U` for everything beyond it.
pub(super) fn raw_unicode(line: &[u8]) -> Result<String, PickleError> {
    let wrong = PickleError::Damaged("a text has an escape that is none");
    let mut units: Vec<u16> = Vec::with_capacity(line.len());
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let digits = match (byte, rest.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                units.push(u16::from(byte));
                continue;
            }
        };
        rest.next();
        let code = hexadecimal(&mut rest, digits).ok_or(wrong.clone())?;
        match u16::try_from(code) {
            // Half of a pair, which an old Python wrote as two escapes, is put together below.
            Ok(unit) => units.push(unit),
            Err(_) => {
                let c = char::from_u32(code).ok_or(wrong.clone())?;
                units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            }
        }
    }
    String::from_utf16(&units).map_err(|_| wrong)
}

fn hexadecimal(bytes: &mut impl Iterator<Item = u8>, digits: usize) -> Option<u32> {
    let mut value: u32 = 0;
    for _ in 0..digits {
        value = value.checked_mul(16)? + char::from(bytes.next()?).to_digit(16)?;
    }
    Some(value)
}
