//! A layer 4 load balancer: virtual addresses and backends from a TOML file, in the kernel's IPVS.

#![forbid(unsafe_code)]

mod balancer;
mod check;
mod config;
mod metrics;
mod plan;
mod watch;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::thread;

use clap::Parser;

use crate::balancer::{Balancer, log};
use crate::check::{Failure, Target};
use crate::config::Config;

/// Balance TCP, UDP and SCTP over backends that are checked, with the kernel's IPVS.
///
/// The file is read again when it changes and on SIGHUP; one that cannot be used changes nothing. SIGTERM
/// and SIGINT remove the virtual servers and the link. Needs root.
///
/// Exit status: 0; 2 if the file cannot be used or the kernel cannot be programmed.
#[derive(Parser)]
#[command(name = "load-balancer", version, max_term_width = 100)]
struct Args {
    /// What to balance: see README.md.
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,

    /// Only check the file.
    #[arg(long)]
    check: bool,
}

/// Everything that the main loop receives.
#[derive(Debug)]
enum Event {
    /// A check was made.
    Checked(Target, Result<(), Failure>),
    /// The file changed, or SIGHUP came.
    Reload,
    /// Somebody wants the metrics.
    Scrape(Sender<String>),
    /// SIGTERM or SIGINT came.
    Stop,
}

/// Why the program ends, or does not do what it should.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("`link` and `metrics` cannot change while the program runs: restart it")]
    Restart,
    #[error("cannot watch the file: {0}")]
    Watch(io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    #[error("cannot serve metrics: {0}")]
    Metrics(io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Ipvs(#[from] ipvs_netlink::Error),
    #[error(transparent)]
    Links(#[from] dummy_link::Error),
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(error);
            ExitCode::from(2)
        }
    }
}

fn run(Args { file, check }: Args) -> Result<(), Error> {
    if check {
        return Ok(Config::read(&file).map(|_| ())?);
    }
    let (events, received) = mpsc::channel();
    watch::signals(events.clone()).map_err(Error::Signals)?;
    // Before it is read, so that no change is missed.
    watch::file(&file, events.clone()).map_err(Error::Watch)?;
    let config = Config::read(&file)?;
    if let Some(address) = config.process.metrics {
        let listener = TcpListener::bind(address).map_err(Error::Metrics)?;
        let events = events.clone();
        thread::spawn(move || metrics::serve(&listener, &events));
    }
    Balancer::open(file, config)?.run(&events, &received)
}
