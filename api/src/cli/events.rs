//! The server's events, as they come: a small reader of `text/event-stream`
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), as far as this server writes it.

use reqwest::Response;
use serde_json::Value;

/// The longest event that is taken; a server of ours writes nothing near it.
const LONGEST: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// Its number, to resume after it.
    pub(super) id: Option<String>,
    /// Its type, such as `run.ended`.
    pub(super) kind: String,
    /// Its document.
    pub(super) data: Value,
}

/// A stream of events.
pub(super) struct Events {
    response: Response,
    lines: Lines,
}

impl Events {
    /// Reads the events of an answer.
    pub(super) fn new(response: Response) -> Self {
        Self { response, lines: Lines::default() }
    }

    /// The next event; none when the stream ended.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, reqwest::Error> {
        loop {
            if let Some(event) = self.lines.event() {
                return Ok(Some(event));
            }
            match self.response.chunk().await? {
                Some(chunk) if self.lines.waiting.len() + self.lines.data.len() < LONGEST => {
                    self.lines.waiting.extend_from_slice(&chunk);
                }
                _ => return Ok(None),
            }
        }
    }
}

/// What has come and is not an event yet.
#[derive(Debug, Default)]
struct Lines {
    waiting: Vec<u8>,
    id: Option<String>,
    kind: String,
    data: String,
}

impl Lines {
    fn event(&mut self) -> Option<Event> {
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                let (id, kind) = (self.id.take(), std::mem::take(&mut self.kind));
                // A comment that says "still alive" ends with an empty line too.
                if !data.is_empty() {
                    return Some(Event { id, kind, data: serde_json::from_str(&data).unwrap_or_default() });
                }
            } else if let Some((field, value)) = line.split_once(':') {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "id" => self.id = Some(value.to_owned()),
                    "event" => value.clone_into(&mut self.kind),
                    "data" => self.data.push_str(value),
                    _ => {}
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_come_out_whole_however_the_bytes_arrive() {
        let text =
            b": alive\n\nid: 7\nevent: run.ended\ndata: {\"run\":\"x\"}\n\nevent: resync\r\ndata:{}\r\n\r\n";
        let mut lines = Lines::default();
        let mut events = Vec::new();
        for byte in text {
            lines.waiting.push(*byte);
            events.extend(lines.event());
        }
        assert_eq!(
            events,
            [
                Event { id: Some("7".into()), kind: "run.ended".into(), data: json!({"run": "x"}) },
                Event { id: None, kind: "resync".into(), data: json!({}) },
            ]
        );
    }
}
