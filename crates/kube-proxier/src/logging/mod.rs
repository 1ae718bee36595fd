//! How the daemon logs.

mod lines;
mod rate;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;
use tracing_subscriber::fmt::format::JsonFields;

use self::lines::{Form, Lines, Stderr};
use crate::config::{LogFormat, Logging};

/// Starts logging to stderr as the options ask. `RUST_LOG`, if set, decides how much is logged.
///
/// # Errors
/// If this process logs already, or `RUST_LOG` cannot be read.
pub fn start(logging: Logging) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = match std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty())
    {
        Some(filter) => EnvFilter::try_new(filter).map_err(|error| format!("RUST_LOG: {error}"))?,
        None => filter(logging.verbosity),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Stderr)
        .log_internal_errors(false);
    match logging.format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            let lines = Lines::new(format().with_ansi(ansi), Form::Text { ansi });
            subscriber.with_ansi(ansi).event_format(lines).try_init()
        }
        LogFormat::Json => {
            let lines = Lines::new(format().json().flatten_event(true), Form::Json);
            let subscriber = subscriber.fmt_fields(JsonFields::new());
            subscriber.event_format(lines).try_init()
        }
    }
}

/// Ours by klog's levels; libraries log less, until everything is wanted.
fn filter(verbosity: u32) -> EnvFilter {
    let libraries = match verbosity {
        0..=5 => LevelFilter::WARN,
        6..=7 => LevelFilter::INFO,
        8..=9 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ours = level(verbosity);
    let filter = EnvFilter::default().add_directive(libraries.into());
    ["kube_proxier", "proxier"]
        .into_iter()
        .filter_map(|target| format!("{target}={ours}").parse().ok())
        .fold(filter, EnvFilter::add_directive)
}

/// What klog's levels are here: 0 to 3 are what kube-proxy logs when all is well.
fn level(verbosity: u32) -> LevelFilter {
    match verbosity {
        0..=3 => LevelFilter::INFO,
        4..=5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What is logged, to be read.
    #[derive(Clone, Default)]
    pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is logged as text meanwhile.
    pub(crate) fn captured(act: impl FnOnce()) -> String {
        captured_as(Form::Text { ansi: false }, act)
    }

    fn captured_as(form: Form, act: impl FnOnce()) -> String {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone());
        match form {
            Form::Text { ansi } => {
                let lines = Lines::new(format().with_ansi(ansi), form);
                let subscriber = subscriber.event_format(lines).finish();
                tracing::subscriber::with_default(subscriber, act);
            }
            Form::Json => {
                let lines = Lines::new(format().json().flatten_event(true), form);
                let subscriber = subscriber.fmt_fields(JsonFields::new());
                tracing::subscriber::with_default(subscriber.event_format(lines).finish(), act);
            }
        }
        log.text()
    }

    const FORGED: &str = "bad\n2026-11-28T00:00:00Z  INFO kube_proxier: all is well\r\0\u{202e}";

    #[test]
    fn a_text_of_others_stays_one_bounded_line() {
        for form in [Form::Text { ansi: false }, Form::Json] {
            let text = captured_as(form, || {
                tracing::warn!(reason = %FORGED, "an answer: {FORGED}");
                tracing::warn!("{}", "x".repeat(40_000_000));
            });
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            for unsafe_char in ['\r', '\0', '\u{202e}'] {
                assert!(!text.contains(unsafe_char), "{text}");
            }
            assert!(lines[1].contains("bytes more") && lines[1].len() < 10_000);
            if form == Form::Json {
                let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
                assert!(
                    line["message"]
                        .as_str()
                        .unwrap()
                        .starts_with("an answer: bad\\n2026")
                );
            }
        }
    }

    #[test]
    fn a_flood_of_one_line_is_left_out() {
        let text = captured(|| {
            for number in 0..10_000 {
                tracing::warn!(number, "an object cannot be used");
            }
            tracing::warn!("another");
        });
        assert_eq!(text.lines().count(), 101, "{text}");
        assert!(text.ends_with("another\n"));
    }

    #[test]
    fn more_is_logged_the_higher_the_level() {
        for verbosity in 0..10 {
            assert!(level(verbosity) <= level(verbosity + 1));
            assert!(filter(verbosity).max_level_hint() <= filter(verbosity + 1).max_level_hint());
        }
        assert_eq!(level(0), LevelFilter::INFO);
        assert_eq!(filter(2).to_string().matches("=info").count(), 2);
        assert_eq!(filter(10).max_level_hint(), Some(LevelFilter::TRACE));
    }
}
