//! Reading a run's log: all of it, its end, or as it grows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the log one read takes.
const CHUNK: usize = 64 << 10;

/// A reader that goes on where it stopped.
#[derive(Debug)]
pub struct Follow {
    file: Option<File>,
    path: std::path::PathBuf,
    offset: u64,
}

impl Follow {
    /// Begins at byte `offset` of the log at `path`, which need not be there yet.
    #[must_use]
    pub fn new(path: &Path, offset: u64) -> Self {
        Self { file: None, path: path.to_owned(), offset }
    }

    /// What has come since the last call, at most one chunk; empty when there is nothing new. Blocks on the disk only.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.offset))?;
                    Some(file)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
        }
        let mut chunk = vec![0; CHUNK];
        let read = self.file.as_mut().map_or(Ok(0), |file| file.read(&mut chunk))?;
        self.offset += read as u64;
        chunk.truncate(read);
        Ok(chunk)
    }
}

/// The byte at which the last `lines` lines of the log begin. No file begins at zero.
///
/// # Errors
/// When the file cannot be read.
pub fn tail(path: &Path, lines: usize) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut wanted = lines.saturating_add(1);
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let length = usize::try_from(end - start).unwrap_or(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        let Some(part) = chunk.get_mut(..length) else { break };
        file.read_exact(part)?;
        for (at, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            wanted -= 1;
            if wanted == 0 {
                return Ok(start + at as u64 + 1);
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_begins_at_the_line_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert_eq!(tail(&path, 5).unwrap(), 0);
        let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}\n")).collect();
        let text = lines.concat();
        std::fs::write(&path, &text).unwrap();
        for lines in [0, 1, 7, 15_000, 20_000, 30_000] {
            let start = usize::try_from(tail(&path, lines).unwrap()).unwrap();
            assert_eq!(text[start..].lines().count(), lines.min(20_000));
        }
        assert_eq!(Follow::new(&path, tail(&path, 1).unwrap()).read().unwrap(), b"line 19999\n");
    }
}
