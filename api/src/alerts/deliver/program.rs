//! A message to a program: its JSON on standard input, no shell, a time limit for it and all that it starts.

use std::process::Stdio;
use std::time::Duration;

use engine::text::{self, escaped};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::alerts::message::Message;
use crate::config::Program;

/// How much of what it says on standard error is repeated.
const SAID: u64 = 500;
/// How long its standard error is read after its end: something that left its group may hold it open.
const LINGER: Duration = Duration::from_millis(500);

/// Ends a process and all of its group when it goes out of scope, however that comes.
struct GroupEnds(Option<Pid>);

impl Drop for GroupEnds {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Nobody is left in most cases.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs the program.
pub(super) async fn run(program: &Program, message: &Message, site: &str) -> Result<(), String> {
    let (path, arguments) = program.command.split_first().ok_or("its `command` is empty")?;
    let mut child = Command::new(path)
        .args(arguments)
        // What is in our environment can be a secret.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{path} cannot be started: {error}"))?;
    let group = GroupEnds(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut said = Vec::new();
    let stderr = child.stderr.take();
    let body = text::json(message.json(site).to_string().as_bytes()).into_owned();
    let ended = CancellationToken::new();
    let wait = async {
        feed(&mut child, &body).await;
        let status = child.wait().await;
        drop(group);
        ended.cancel();
        status
    };
    let reading = async {
        if let Some(stderr) = stderr {
            let mut stderr = stderr.take(SAID);
            let _ = stderr.read_to_end(&mut said).await;
            // What comes after that is nobody's, and must not block it.
            let _ = tokio::io::copy(stderr.get_mut(), &mut tokio::io::sink()).await;
        }
    };
    let read = async {
        tokio::select! {
            () = reading => {}
            () = async { ended.cancelled().await; tokio::time::sleep(LINGER).await } => {}
        }
    };
    let working = async { tokio::join!(wait, read).0 };
    match tokio::time::timeout(program.timeout, working).await {
        Err(_) => Err(format!(
            "{path} had not ended after {}, and was ended",
            humantime::format_duration(program.timeout)
        )),
        Ok(Err(error)) => Err(format!("{path} cannot be waited for: {error}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            let said = escaped(said.trim_ascii());
            Err(format!("{path} ended with {status}: {said}"))
        }
    }
}

/// Gives it the message; one that does not read it may still do its work.
async fn feed(child: &mut Child, body: &[u8]) {
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(body).await;
        let _ = stdin.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(text: &str) -> (tempfile::TempDir, Program) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let command = vec![path.display().to_string(), folder.path().join("out").display().to_string()];
        let program = Program { timeout: Duration::from_secs(20), name: "p".to_owned(), command };
        (folder, program)
    }

    fn message() -> Message {
        Message::test("1".to_owned(), chrono::DateTime::UNIX_EPOCH, "root")
    }

    #[tokio::test]
    async fn a_program_reads_the_message_and_none_of_our_environment() {
        let (folder, program) = script("cat > $1; env > $1.env");
        run(&program, &message(), "site").await.unwrap();
        let read: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("out")).unwrap()).unwrap();
        assert_eq!((&read["topic"], &read["site"]), (&"test".into(), &"site".into()));
        let environment = std::fs::read_to_string(folder.path().join("out.env")).unwrap();
        assert!(!environment.contains("CARGO"), "{environment}");
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let (_folder, program) = script("echo no such pager >&2; exit 3");
        let error = run(&program, &message(), "site").await.unwrap_err();
        assert!(error.contains("exit status: 3") && error.ends_with("no such pager"), "{error}");
        let missing = Program { command: vec!["/nonexistent".to_owned()], ..program };
        assert!(run(&missing, &message(), "site").await.unwrap_err().contains("cannot be started"));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let (folder, mut program) = script("sleep 1000 & echo $! > $1; sleep 1000");
        program.timeout = Duration::from_secs(1);
        let error = run(&program, &message(), "site").await.unwrap_err();
        assert!(error.contains("had not ended after 1s"), "{error}");
        let pid = std::fs::read_to_string(folder.path().join("out")).unwrap();
        let state = format!("/proc/{}/stat", pid.trim());
        for _ in 0..1000 {
            match std::fs::read_to_string(&state) {
                Ok(text) if !text.contains(") Z ") => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => return,
            }
        }
        panic!("process {pid} still runs");
    }
}
