//! Checks, for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Check, Verdict, can_run, mode_of};
use proxier_manifest::printable_within;

/// How much is shown of one text, in bytes.
const SHOWN: usize = 4096;

/// Writes a line for each check, aligned, with what to do below, and the conclusion. In colour; `anstream` takes the
/// colour out where nobody sees it.
///
/// # Errors
/// Whatever writing meets.
pub fn write_text(checks: &[Check], out: &mut dyn Write) -> io::Result<()> {
    let width = checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    for check in checks {
        let (word, colour) = match check.verdict {
            Verdict::Works => ("ok     ", AnsiColor::Green),
            Verdict::Warning => ("warning", AnsiColor::Yellow),
            Verdict::Fails => ("FAILS  ", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        writeln!(
            out,
            "{style}{word}{style:#}  {:width$}  {}",
            check.name,
            printable_within(&check.found, SHOWN, &[])
        )?;
        if let (Some(remedy), true) = (&check.remedy, check.verdict != Verdict::Works) {
            let remedy = printable_within(remedy, SHOWN, &[]);
            writeln!(out, "{:width$}           -> {remedy}", "")?;
        }
    }
    let mode = mode_of(checks);
    if can_run(checks) {
        writeln!(out, "\n{mode} mode can run on this machine.")
    } else {
        let failing = checks
            .iter()
            .filter(|check| check.verdict == Verdict::Fails)
            .count();
        writeln!(
            out,
            "\nCan't use {mode} proxier: {failing} of {} checks fail.",
            checks.len()
        )
    }
}
