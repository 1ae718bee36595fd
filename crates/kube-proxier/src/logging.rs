//! How the daemon logs.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};

/// Starts logging to stderr, as the options say. `RUST_LOG`, where it is set, says how much instead of them.
///
/// # Errors
/// If this process logs already, or `RUST_LOG` cannot be read.
pub fn start(logging: Logging) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = match std::env::var("RUST_LOG")
        .ok()
        .filter(|said| !said.is_empty())
    {
        Some(said) => EnvFilter::try_new(said).map_err(|error| format!("RUST_LOG: {error}"))?,
        None => filter(logging.verbosity),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match logging.format {
        LogFormat::Text => subscriber
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    }
}

/// Ours by klog's levels; libraries say less, until everything is wanted.
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

/// What klog's levels are here: 0 to 3 are what kube-proxy says of itself when all is well.
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
