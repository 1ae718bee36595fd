//! The form of a log line, whatever is in it: one line, bounded, and not one of thousands.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::rate::RateLimit;
use proxier_manifest::printable_within;

/// How long a line may be, in bytes; one for debugging may be longer.
const LINE: usize = 4 << 10;
const DEBUG_LINE: usize = 256 << 10;

/// What a line is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text { ansi: bool },
    Json,
}

/// Formats events as `inner` does; then makes each one line, cuts and escapes it, and leaves out what there is too much
/// of.
#[derive(Debug)]
pub(super) struct Lines<F> {
    inner: F,
    form: Form,
    limit: Mutex<RateLimit<Kind>>,
}

/// Lines of a kind come from the same place in the program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    callsite: Identifier,
    name: &'static str,
}

impl<F> Lines<F> {
    pub(super) fn new(inner: F, form: Form) -> Self {
        Self {
            inner,
            form,
            limit: Mutex::new(RateLimit::new()),
        }
    }

    /// Whether the line is to be written; first writes the count of earlier ones left out.
    fn admit(
        &self,
        metadata: &Metadata<'static>,
        writer: &mut Writer<'_>,
    ) -> Result<bool, fmt::Error> {
        if *metadata.level() > Level::INFO {
            // Whoever asked for these wants all of them.
            return Ok(true);
        }
        let kind = Kind {
            callsite: metadata.callsite(),
            name: metadata.name(),
        };
        let admission = {
            let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
            limit.admit(&kind, Instant::now())
        };
        for (kind, count) in admission.left_out {
            // An event's name is "event FILE:LINE".
            let place = kind.name.trim_start_matches("event ");
            let now = humantime::format_rfc3339_micros(SystemTime::now());
            let text = format!("{count} lines like those of {place} were left out");
            match self.form {
                Form::Text { .. } => writeln!(writer, "{now}  WARN kube_proxier::logging: {text}")?,
                Form::Json => {
                    let line = serde_json::json!({
                        "timestamp": now.to_string(), "level": "WARN", "message": text,
                        "target": "kube_proxier::logging", "left_out": count,
                    });
                    writeln!(writer, "{line}")?;
                }
            }
        }
        Ok(admission.admitted)
    }
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if !self.admit(metadata, &mut writer)? {
            return Ok(());
        }
        let mut line = String::new();
        self.inner
            .format_event(context, Writer::new(&mut line), event)?;
        let limit = if *metadata.level() > Level::INFO {
            DEBUG_LINE
        } else {
            LINE
        };
        let line = line.trim_end_matches('\n');
        match self.form {
            Form::Text { ansi } => {
                let keep: &[char] = if ansi { &['\u{1b}'] } else { &[] };
                writeln!(writer, "{}", printable_within(line, limit, keep))
            }
            Form::Json => writeln!(writer, "{}", json(line, limit)),
        }
    }
}

/// A line of JSON with each text in it cut and escaped.
fn json(line: &str, limit: usize) -> String {
    use serde_json::Value;
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else {
        return printable_within(line, limit, &[]).into_owned();
    };
    for value in fields.values_mut() {
        if let Value::String(text) = value {
            let shown = printable_within(text, limit, &[]).into_owned();
            *text = shown;
        }
    }
    Value::Object(fields).to_string()
}

/// Standard error. A log that cannot be written does not end the daemon.
pub(super) struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
