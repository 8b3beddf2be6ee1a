//! The stored form of a project's options of rsync.

use engine::Options;
use engine::rsync::options::take_port;
use engine::source::DEFAULT_PORT;
use serde::{Deserialize, Serialize};

use super::RecordError;
use super::project::refused;

#[derive(Serialize, Deserialize)]
pub(super) struct OptionsRecord {
    defaults: Vec<String>,
    basic: Vec<String>,
    delete: String,
}

impl From<&Options> for OptionsRecord {
    fn from(options: &Options) -> Self {
        Self {
            defaults: options.defaults().to_vec(),
            basic: options.basic().to_vec(),
            delete: options.delete().map(|mode| mode.to_string()).unwrap_or_default(),
        }
    }
}

impl OptionsRecord {
    /// The options, and the port of every source that names none itself. Older versions kept a port among the options.
    pub(super) fn read(mut self) -> Result<(Options, u16), RecordError> {
        // As rsync takes it, the last one counts.
        let (first, last) = (take_port(&mut self.defaults), take_port(&mut self.basic));
        let options = Options::new(&self.defaults, &self.basic, &self.delete);
        let options = options.map_err(|errors| refused("options", &errors))?;
        Ok((options, last.or(first).unwrap_or(DEFAULT_PORT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_an_older_version_kept_among_the_options_is_the_sources() {
        let read = |json: &str| serde_json::from_str::<OptionsRecord>(json).unwrap().read().unwrap();
        let (options, port) =
            read(r#"{"defaults": ["-a", "--port=1"], "basic": ["--port=8873", "-z"], "delete": ""}"#);
        assert_eq!(
            (port, options.defaults(), options.basic()),
            (8873, &["-a".to_owned()][..], &["-z".to_owned()][..])
        );
        assert_eq!(read(r#"{"defaults": ["-a"], "basic": [], "delete": "--delete"}"#).1, DEFAULT_PORT);
    }
}
