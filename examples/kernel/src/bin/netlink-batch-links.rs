//! Asks for many links by name in one system call, with `netlink-batch`: each request has a result of its
//! own, and one that fails does not harm the others.
//!
//! Needs nothing.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use dummy_link::LinkName;
use dummy_link::message::{link_by_name, parse_link};
use netlink_batch::{Batch, Connection, Header, uapi::NETLINK_ROUTE};

/// `RTM_GETLINK`:
/// <https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/rtnetlink.h?h=v6.12#n43>.
const RTM_GETLINK: u16 = 18;

/// Look up links by name, all in one system call.
///
/// Exit status: 0; 1 if one of them is not there; 2 if something else is wrong.
#[derive(Parser)]
#[command(name = "netlink-batch-links", version, max_term_width = 100)]
struct Args {
    /// The links.
    #[arg(required = true, value_parser = LinkName::new)]
    links: Vec<LinkName>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("netlink-batch-links", |out| {
        let mut connection = Connection::open(NETLINK_ROUTE)?;
        let mut batch = Batch::new();
        for link in &args.links {
            batch.push(Header::new(RTM_GETLINK), &link_by_name(*link));
        }
        // Asking is safe to repeat, should an answer be lost.
        batch.set_idempotent(true);
        let mut found = BTreeMap::new();
        let report = connection.execute_with(&mut batch, |request, reply| {
            found.insert(request, parse_link(reply.payload));
        });
        let mut status = ExitCode::SUCCESS;
        for ((request, name), result) in args.links.iter().enumerate().zip(report.iter()) {
            match (result, found.remove(&request)) {
                (Ok(()), Some(link)) => {
                    let link = link.map_err(|error| format!("{name}: {error}"))?;
                    let kind = link.kind.as_deref().unwrap_or("device");
                    let state = if link.is_up { "up" } else { "down" };
                    writeln!(out, "{}: {} {kind} {state}", link.index, link.name)?;
                }
                (Ok(()), None) => return Err(format!("{name}: the kernel did not answer").into()),
                (Err(error), _) => {
                    status = ExitCode::from(1);
                    writeln!(out, "{name}: {error}")?;
                }
            }
        }
        Ok(status)
    })
}
