//! The commands of the command line, with the flags that each has of its own.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use proxier::explain::Question;

use crate::top::{self, SortBy};

/// What can be done besides running the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Check whether ipvs mode can run on this machine, and print what to do if it cannot.
    ///
    /// Exit status: 0, it can; 1, it cannot; 2, the configuration is wrong.
    Doctor {
        /// What is printed.
        #[arg(long, value_enum, default_value_t = DoctorOutput::Text, value_name = "FORM")]
        output: DoctorOutput,
    },
    /// Explain why a Service, or an address and port, is served on this node, or not.
    ///
    /// Reads the cluster from the API server and compares what this node's kernel should hold with what it holds. The first
    /// line names the cause if something is wrong. Nothing is changed.
    ///
    /// Exit status: 0, it is served; 1, something is wrong; 2, the question or the configuration is wrong.
    Explain(ExplainArgs),
    /// Show the busiest Services and endpoints of this node, again and again.
    ///
    /// Rates are those that IPVS estimates over some seconds. Names come from the API server. On a terminal the keys c, p, b, a
    /// and n sort, and q or ctrl-C ends it; elsewhere one listing follows the other. Nothing is changed.
    ///
    /// Exit status: 0, it was shown; 1, it cannot be; 2, the command line or the configuration is wrong.
    Top(TopArgs),
}

/// What the busiest are shown by.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct TopArgs {
    /// How often it is shown: a duration of 100ms at least [default: 1s].
    #[arg(long, default_value = "1s", hide_default_value = true, value_name = "DURATION", value_parser = top_interval)]
    pub interval: Duration,

    /// Show it once, and exit [default: false].
    #[arg(long)]
    pub once: bool,

    /// By what to sort: connections, packets or bytes per second, active connections, or the name [default: bytes].
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "WHAT"
    )]
    pub sort: SortBy,

    /// Show the Services of this namespace alone [default: all, and what no Service has].
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Show no more than so many Services, and so many endpoints [default: those that fit the terminal; elsewhere 20, in
    /// JSON all].
    #[arg(long, value_name = "NUMBER")]
    pub rows: Option<usize>,

    /// Read Services, EndpointSlices and Nodes from this file, as kubectl get -A -o yaml prints them, and not from the API
    /// server [default: none].
    #[arg(long, value_name = "FILE")]
    pub manifests: Option<PathBuf>,

    /// What is printed: text, or an object of JSON in each line.
    #[arg(long, value_enum, default_value_t = DoctorOutput::Text, value_name = "FORM")]
    pub output: DoctorOutput,
}

fn top_interval(text: &str) -> Result<Duration, String> {
    let interval = proxier_manifest::parse_duration(text).map_err(|error| error.to_string())?;
    match interval < top::SHORTEST {
        true => Err("100ms is the shortest".to_owned()),
        false => Ok(interval),
    }
}

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ExplainArgs {
    /// An address and port, as 10.0.0.10:53/udp, with an IPv6 address in brackets (tcp if no protocol is given); or a Service,
    /// as namespace/name or namespace/name:port.
    #[arg(value_name = "QUESTION")]
    pub question: Question,

    /// Explain the traffic of this client alone [default: that of pods, of this node and from outside].
    #[arg(long, value_name = "IP")]
    pub from: Option<IpAddr>,

    /// Read Services, EndpointSlices and Nodes from this file, as kubectl get -A -o yaml prints them, and not from the API
    /// server [default: none].
    #[arg(long, value_name = "FILE")]
    pub manifests: Option<PathBuf>,

    /// What is printed.
    #[arg(long, value_enum, default_value_t = DoctorOutput::Text, value_name = "FORM")]
    pub output: DoctorOutput,
}

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorOutput {
    /// For people.
    Text,
    /// For programs.
    Json,
}
