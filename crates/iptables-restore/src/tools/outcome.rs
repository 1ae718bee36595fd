//! The messages of tools that fail.
//!
//! All messages were captured from iptables 1.8.9; see the tests.

use std::path::Path;
use std::time::Duration;

use super::process::Output;
use super::rejection::{RejectReason, Rejection};
use crate::error::Error;
use crate::name::TableName;

/// The error for a tool other than iptables-restore.
pub(super) fn failure(program: &Path, output: &Output) -> Error {
    let message = output.stderr.trim().to_owned();
    if message.contains("you must be root") || message.contains("Permission denied") {
        return Error::NotPermitted {
            program: program.to_owned(),
            message,
        };
    }
    Error::Failed {
        program: program.to_owned(),
        status: output.status.to_string(),
        message,
    }
}

/// The error for iptables-restore, which was given `text`.
pub(super) fn restore_failure(program: &Path, output: &Output, text: &str, test: bool) -> Error {
    let lock_held = "Another app is currently holding the xtables lock";
    if output.status.code() == Some(4) && output.stderr.contains(lock_held) {
        return Error::LockHeld {
            waited: waited(&output.stderr),
        };
    }
    let Some((line, mut reason)) = read(&output.stderr) else {
        return failure(program, output);
    };
    let place = InputLine::of(line, text);
    if reason == RejectReason::Unexplained && place.text == "COMMIT" {
        reason = RejectReason::Commit;
    }
    Error::Rejected(Box::new(Rejection {
        program: program.to_owned(),
        line,
        text: place.text.to_owned(),
        table: place.table,
        edit: None,
        reason,
        committed: if test { Vec::new() } else { place.before },
        message: output.stderr.trim().to_owned(),
    }))
}

/// "Stopped waiting after 1s."
fn waited(message: &str) -> Duration {
    let seconds = message
        .split_once("after ")
        .and_then(|(_, rest)| rest.split_once('s'))
        .map(|(seconds, _)| seconds);
    Duration::from_secs(
        seconds
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(0),
    )
}

/// The number of the refused line and the reason, if the message is known.
pub(crate) fn read(message: &str) -> Option<(usize, RejectReason)> {
    let occurred = |line: &str| number(line.strip_prefix("Error occurred at line: ")?);
    let lines = || {
        message
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    if let Some(line) = lines().find_map(occurred) {
        return Some((
            line,
            explained(lines().take_while(|line| occurred(line).is_none())),
        ));
    }
    lines().find_map(one_line)
}

/// Messages that are one line.
fn one_line(line: &str) -> Option<(usize, RejectReason)> {
    if let Some((_, rest)) = line.split_once("COMMIT expected at line ") {
        return Some((number(rest)?, RejectReason::CommitMissing));
    }
    let (before, rest) = line.split_once("line ")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (line, rest) = rest.split_at_checked(digits)?;
    let line = number(line)?;
    if rest == " failed" {
        return Some((line, RejectReason::Unexplained));
    }
    if let Some(reason) = rest.strip_prefix(" failed: ") {
        let reason = match reason.trim_end_matches('.') {
            // EMSGSIZE, from sendmsg(2).
            "Message too long" => RejectReason::TooLong,
            other => RejectReason::Other(other.to_owned()),
        };
        return Some((line, reason));
    }
    let rest = rest.strip_prefix(": ")?;
    let kernel = || {
        let (operation, rest) = rest.split_once(" failed (")?;
        let (error, object) = rest.split_once("): ")?;
        Some(RejectReason::Kernel {
            operation: operation.to_owned(),
            error: error.to_owned(),
            object: object.to_owned(),
        })
    };
    Some((
        line,
        kernel().unwrap_or_else(|| {
            RejectReason::Other(format!("{}: {rest}", without_program(before.trim())))
        }),
    ))
}

/// Messages before "Error occurred at line".
fn explained<'a>(lines: impl Iterator<Item = &'a str>) -> RejectReason {
    let text = lines
        .map(without_program)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let between = |start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        Some(rest.split_once(end)?.0.to_owned())
    };
    between("Couldn't load match `", "'")
        .map(RejectReason::NoSuchMatch)
        .or_else(|| between("Couldn't load target `", "'").map(RejectReason::NoSuchTarget))
        .or_else(|| between("goto '", "' is not a chain").map(RejectReason::NoSuchTarget))
        .or_else(|| between("Chain '", "' does not exist").map(RejectReason::NoSuchTarget))
        .or_else(|| {
            between("unable to initialize table '", "'").map(RejectReason::TableUnavailable)
        })
        .or_else(|| between("table name '", "' invalid").map(RejectReason::TableUnavailable))
        .or_else(|| between("Set ", " doesn't exist").map(RejectReason::NoSuchSet))
        .unwrap_or(RejectReason::Other(text))
}

/// `iptables-restore v1.8.9 (legacy): text` without its start.
fn without_program(line: &str) -> &str {
    match line.split_once(": ").or_else(|| line.split_once(':')) {
        Some((program, text)) if program.contains("tables") && program.contains(" v") => {
            text.trim()
        }
        _ => line,
    }
}

fn number(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

/// A line of restore input.
struct InputLine<'a> {
    text: &'a str,
    table: Option<TableName>,
    /// The tables that end before it.
    before: Vec<TableName>,
}

impl<'a> InputLine<'a> {
    fn of(line: usize, text: &'a str) -> Self {
        let mut place = Self {
            text: "",
            table: None,
            before: Vec::new(),
        };
        for (number, text) in (1..=line).zip(text.lines()) {
            if let Some(name) = text.strip_prefix('*') {
                place.table = Some(TableName::from(name.trim_end()));
            }
            if number == line {
                place.text = text;
            } else if text.trim_end() == "COMMIT" {
                place.before.extend(place.table.take());
            }
        }
        place
    }
}

#[cfg(test)]
mod tests;
