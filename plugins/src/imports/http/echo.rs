//! Servers that send back what they were sent: a secret in an answer does not reach the guest either.

use engine::Secret;
use memchr::memmem::find_iter;

/// The bytes with every secret replaced.
pub(super) fn without(bytes: &[u8], secrets: &[Secret]) -> Vec<u8> {
    let secrets = secrets.iter().map(|secret| secret.expose().as_bytes()).filter(|secret| !secret.is_empty());
    secrets.fold(bytes.to_vec(), |bytes, secret| {
        let mut clean = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for at in find_iter(&bytes, secret) {
            clean.extend_from_slice(&bytes[from..at]);
            clean.extend_from_slice(b"***");
            from = at + secret.len();
        }
        clean.extend_from_slice(&bytes[from..]);
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_out_wherever_they_are() {
        let secrets = [Secret::new("abc"), Secret::new("")];
        assert_eq!(without(b"abcxabcabc-ab", &secrets), b"***x******-ab");
        assert_eq!(without(b"nothing", &secrets), b"nothing");
    }
}
