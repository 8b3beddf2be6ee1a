//! The decisions of a policy, one line of JSON each: what it was asked, and what it said.
//!
//! The file begins anew when it is full; the one before it is kept beside it, so that there is always a past to replay.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Finished, View};

/// How large a file becomes.
const FULL: u64 = 16 * 1024 * 1024;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which plugin.
    pub plugin: String,
    /// The digest of its file.
    pub digest: String,
    /// What it was asked.
    pub question: Question,
    /// What it said; the error in a sentence.
    pub answer: Result<Answer, String>,
}

/// What a policy was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which queued run starts next.
    Pick(View),
    /// When a project is due again.
    NextDelay(Box<Finished>),
}

/// What it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Indices into the queue, best first.
    Picks(Vec<u32>),
    /// Milliseconds.
    DelayMs(u64),
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no decision.
    #[error("{path}, line {line}: {source}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Writes decisions down. What cannot be written is told once, and never in the way of a decision.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

impl Recorder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::default() }
    }

    pub(crate) fn write(&self, entry: &Entry) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.append(&mut file, entry) {
            *file = None;
            tracing::warn!(path = %self.path.display(), "a policy's decision could not be recorded: {error}");
        }
    }

    fn append(&self, file: &mut Option<(File, u64)>, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if file.as_ref().is_some_and(|(_, size)| size + line.len() as u64 > FULL) {
            *file = None;
            fs::rename(&self.path, self.path.with_extension("old.jsonl"))?;
        }
        let (open, size) = match file {
            Some(open) => open,
            None => file.insert(self.open()?),
        };
        open.write_all(&line)?;
        *size += line.len() as u64;
        Ok(())
    }

    fn open(&self) -> io::Result<(File, u64)> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.path)?;
        let size = file.metadata()?.len();
        if size > 0 {
            // A crash may have cut the last line off; the next one is not to be part of it.
            file.write_all(b"\n")?;
        }
        Ok((file, size + 1))
    }
}

/// The decisions of a file, oldest first. A line that a crash cut off is passed over.
pub fn read_recording(path: &Path) -> Result<Vec<Entry>, ReplayError> {
    let failed = |source| ReplayError::Read { path: path.to_owned(), source };
    let lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(failed)?;
    let mut entries = Vec::new();
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_str(line) {
            Ok(entry) => entries.push(entry),
            Err(source) if source.is_eof() => {}
            Err(source) => return Err(ReplayError::Line { path: path.to_owned(), line: number + 1, source }),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(now_ms: u64) -> Entry {
        let view = View { now_ms, free_slots: 1, running: vec!["a".to_owned()], queue: Vec::new() };
        Entry {
            plugin: "p".to_owned(),
            digest: "d".to_owned(),
            question: Question::Pick(view),
            answer: Ok(Answer::Picks(vec![1, 0])),
        }
    }

    #[test]
    fn what_is_recorded_can_be_read_again_even_after_a_crash() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("decisions.jsonl");
        let recorder = Recorder::new(path.clone());
        let failed = Entry { answer: Err("no".to_owned()), ..entry(2) };
        recorder.write(&entry(1));
        recorder.write(&failed);
        assert_eq!(read_recording(&path).unwrap(), [entry(1), failed]);
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read_recording(&path).unwrap(), [entry(1)]);
        Recorder::new(path.clone()).write(&entry(3));
        assert_eq!(read_recording(&path).unwrap(), [entry(1), entry(3)]);
        fs::write(&path, "{}\n{}\n").unwrap();
        assert!(matches!(read_recording(&path), Err(ReplayError::Line { line: 1, .. })));
    }
}
