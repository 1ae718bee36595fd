//! Lists the flows that the kernel keeps, as `conntrack -L` does, or deletes those that were sent to an
//! address, without the `conntrack` binary.
//!
//! Needs root and a kernel with connection tracking.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::Parser;
use conntrack_netlink::{Client, DumpItem, Family, Flow, Protocol, protocol_by_name};

/// List the flows of this network namespace.
///
/// Exit status: 0; 2 if they cannot be read, or the command line is wrong.
#[derive(Parser)]
#[command(name = "conntrack-list", version, max_term_width = 100)]
struct Args {
    /// IPv6 flows instead of IPv4 ones.
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Only those of this protocol: tcp, udp, sctp, icmp, ...
    #[arg(short, long, value_parser = protocol)]
    protocol: Option<Protocol>,

    /// Only those that were meant for this address.
    #[arg(short, long, value_name = "ADDRESS")]
    destination: Option<IpAddr>,

    /// Only those that were sent to this address, whatever they were meant for.
    #[arg(short, long, value_name = "ADDRESS")]
    reply_source: Option<IpAddr>,

    /// Delete them, and print how many they were.
    #[arg(long)]
    delete: bool,
}

fn protocol(text: &str) -> Result<Protocol, String> {
    protocol_by_name(text)
        .ok_or_else(|| "is not a protocol that the kernel tracks, such as udp".to_owned())
}

impl Args {
    fn matches(&self, flow: &Flow) -> bool {
        self.protocol.is_none_or(|it| it == flow.original.protocol)
            && self
                .destination
                .is_none_or(|it| it == flow.original.destination)
            && self.reply_source.is_none_or(|it| it == flow.reply.source)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("conntrack-list", |out| {
        let family = match args.ipv6 {
            true => Family::V6,
            false => Family::V4,
        };
        let mut client = Client::open()?;
        if args.delete {
            let deleted = client.delete_matching(family, |flow| args.matches(flow))?;
            writeln!(out, "{deleted} flows deleted")?;
            return Ok(ExitCode::SUCCESS);
        }
        // As they come: there may be a million.
        let failure = client.visit(family, |item| {
            let written = match item {
                DumpItem::Flow(flow) if args.matches(&flow) => writeln!(out, "{flow}"),
                DumpItem::Flow(_) => Ok(()),
                DumpItem::Restart => writeln!(
                    out,
                    "# the kernel lost part of this listing, which starts again"
                ),
            };
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        })?;
        failure.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
    })
}
