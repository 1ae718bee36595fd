//! Programs that may hang, or print for ever.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proxier_manifest::printable_within;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How much it may print. A rule set is some megabytes at the most.
const BYTES: u64 = 16 << 20;
/// How much of its error is shown, in bytes.
const SHOWN: usize = 300;

/// What a program prints, or why that cannot be had. It is killed where it takes too long or prints too much.
pub(super) fn printed(program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    printed_within(program, arguments, LIMIT, BYTES)
}

fn printed_within(
    program: &str,
    arguments: &[&str],
    limit: Duration,
    bytes: u64,
) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("{program} is not installed"),
            _ => failed(error),
        })?;
    let (sender, read) = channel();
    let pipes = [
        child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    for (number, pipe) in pipes.into_iter().enumerate() {
        let sender = sender.clone();
        let reader = move || {
            let mut text = Vec::new();
            let more = pipe.map(|pipe| pipe.take(bytes + 1).read_to_end(&mut text));
            let _ = sender.send((number, more.transpose().map(|_| text)));
        };
        if let Err(error) = thread::Builder::new().spawn(reader) {
            end(child);
            return Err(failed(error));
        }
    }
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..texts.len() {
        match read.recv_timeout(limit) {
            Ok((number, Ok(text))) if text.len() as u64 <= bytes => {
                if let Some(place) = texts.get_mut(number) {
                    *place = text;
                }
            }
            Ok((_, Ok(_))) => {
                end(child);
                return Err(format!("{program} printed more than {bytes} bytes"));
            }
            Ok((_, Err(error))) => {
                end(child);
                return Err(failed(error));
            }
            Err(_) => {
                end(child);
                return Err(format!("{program} did not end within {limit:?}"));
            }
        }
    }
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            None => {
                end(child);
                return Err(format!("{program} did not end within {limit:?}"));
            }
        }
    };
    let [stdout, stderr] = texts;
    if status.success() {
        return Ok(stdout);
    }
    let text = String::from_utf8_lossy(&stderr);
    Err(format!(
        "{program}: {}",
        printable_within(text.trim(), SHOWN, &[])
    ))
}

/// Kills a program with its children.
fn end(mut child: Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Result<Vec<u8>, String> {
        printed_within("sh", &["-c", script], Duration::from_secs(60), 1000)
    }

    /// Runs what does not end.
    fn killed(script: &str) -> String {
        let limit = Duration::from_millis(300);
        printed_within("sh", &["-c", script], limit, 1000).unwrap_err()
    }

    #[test]
    fn programs_that_hang_print_for_ever_or_fail_end_with_an_error() {
        assert_eq!(run("echo good"), Ok(b"good\n".to_vec()));
        let error = killed("sleep 3600");
        assert_eq!(error, "sh did not end within 300ms");
        // It prints nothing more.
        let error = killed("exec >&- 2>&-; sleep 3600");
        assert_eq!(error, "sh did not end within 300ms");
        // The pipe stays open in a child of its own.
        let error = killed("sleep 60 & exit 0");
        assert_eq!(error, "sh did not end within 300ms");
        let error = run("yes").unwrap_err();
        assert_eq!(error, "sh printed more than 1000 bytes");
        let error = run("printf 'a\\033[2Jb' >&2; exit 3").unwrap_err();
        assert!(
            error.starts_with("sh: a") && !error.contains('\u{1b}'),
            "{error}"
        );
        let error = printed("no-such-program", &[]).unwrap_err();
        assert_eq!(error, "no-such-program is not installed");
    }
}
