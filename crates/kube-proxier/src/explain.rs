//! `kube-proxier explain`: why a Service, or an address and port, is served on this node, or not.
//!
//! The answer is [`proxier::explain()`](mod@proxier::explain)'s. Here its evidence is gathered: the cluster, as the watches
//! of the daemon list it; the machine; and what its kernel holds. Nothing is changed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;

use anstyle::{AnsiColor, Style};
use conntrack_netlink::{DumpItem, Filter};
use ipvs_netlink::{DestinationId, Protocol, Scheduler, VirtualServerId};
use proxier::cluster::Cluster;
use proxier::explain::{Evidence, Explanation, Flow, explain as answer};
use proxier::{Kernel, KernelError};
use proxier_linux::OpenError;
use proxier_manifest::printable_within;

use crate::cluster::{ClusterError, KnownCluster};
use crate::daemon;
use crate::machine::{Machine as _, ThisMachine};
use crate::options::{ExplainArgs, Options};

/// How much is shown of one line, in bytes.
const SHOWN: usize = 4096;

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// This machine's kernel cannot be read.
    #[error("cannot read the state of this node: {0} (`kube-proxier doctor` shows all checks)")]
    Machine(#[from] OpenError),
    /// A part of its state cannot be read.
    #[error("cannot read the state of this node: {0}")]
    Kernel(#[from] KernelError),
    /// The cluster cannot be had.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Answers a question about this node. Blocks for up to half a minute where the API server is slow.
///
/// # Errors
///
/// [`ExplainError`] where the cluster or the kernel cannot be read. An API server that does not answer is part of the
/// answer.
pub fn explain(options: &Options, args: &ExplainArgs) -> Result<Explanation, ExplainError> {
    let known = match &args.manifests {
        Some(path) => KnownCluster::in_file(path)?,
        None => KnownCluster::listed(options)?,
    };
    let (options, machine) = daemon::open(options.clone());
    let mut machine = machine?.for_a_command();
    let mut host = machine.host(&options.node_name)?;
    host.api_servers = known.api_servers;
    host.missing_schedulers = missing_schedulers(&known.cluster, &options, &mut machine);
    let observed = machine.observe()?;
    let mut evidence = Evidence::new(&known.cluster, &host, &options.config, &observed);
    if let Some(reason) = known.away {
        evidence = evidence.with_api_away(reason);
    }
    let mut question = args.question.clone();
    question.client = args.from;
    let explanation = answer(&evidence, &question);
    let flows = flows(&explanation);
    if flows.is_empty() {
        return Ok(explanation);
    }
    Ok(answer(&evidence.with_flows(flows), &question))
}

/// The schedulers that Services ask for and this kernel does not have. They are tried as the daemon tries them, which leaves
/// nothing behind.
fn missing_schedulers(
    cluster: &Cluster,
    options: &Options,
    machine: &mut ThisMachine,
) -> BTreeSet<Scheduler> {
    if !options.config.layout.uses_ipvs() {
        return BTreeSet::new();
    }
    let services = cluster.services.values();
    let asked = services.filter_map(|service| service.options.as_ref()?.scheduler);
    let mut asked: BTreeSet<_> = asked.collect();
    asked.retain(|scheduler| !machine.has_scheduler(*scheduler));
    asked
}

/// The tracked flows of UDP to what an explanation is about. They are an addition: where they cannot be read, the
/// explanation goes without.
fn flows(explanation: &Explanation) -> Vec<Flow> {
    let frontends = explanation.ports.iter().flat_map(|port| &port.frontends);
    let udp = frontends.filter_map(|frontend| match frontend.at {
        at @ VirtualServerId::Address {
            protocol: Protocol::UDP,
            ..
        } => Some(at),
        _ => None,
    });
    let udp: BTreeSet<_> = udp.collect();
    let mut found = Vec::new();
    if udp.is_empty() {
        return found;
    }
    let listed = conntrack_netlink::Client::open().and_then(|mut client| {
        client.visit_where(&Filter::new(), |item| {
            match item {
                DumpItem::Flow(flow) => found.extend(flow_to(&udp, &flow)),
                DumpItem::Restart => found.clear(),
            }
            ControlFlow::<()>::Continue(())
        })
    });
    if let Err(error) = listed {
        tracing::warn!("flows of UDP are left out: {error}");
    }
    found
}

/// A flow, if it goes to one of these virtual servers.
fn flow_to(servers: &BTreeSet<VirtualServerId>, flow: &conntrack_netlink::Flow) -> Option<Flow> {
    let original = &flow.original;
    let to = VirtualServerId::Address {
        protocol: original.protocol,
        address: original.destination,
        port: original.destination_port()?,
    };
    if !servers.contains(&to) {
        return None;
    }
    let client = SocketAddr::new(original.source, original.source_port()?);
    let answers = DestinationId {
        address: flow.reply.source,
        port: flow.reply.source_port()?,
    };
    Some(Flow::new(client, to, answers))
}

/// Writes an explanation, the first line in colour; `anstream` takes the colour out where nobody sees it.
///
/// # Errors
/// Whatever writing meets.
pub fn write_text(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let colour = match explanation.is_served() {
        true => AnsiColor::Green,
        false => AnsiColor::Red,
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let text = explanation.to_string();
    for (number, line) in text.lines().enumerate() {
        let line = printable_within(line, SHOWN, &[]);
        match number {
            0 => writeln!(out, "{style}{line}{style:#}")?,
            _ => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::net::IpAddr;

    use conntrack_netlink::Tuple;

    use super::*;

    #[test]
    fn flows_to_what_was_asked_for_are_taken() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let flow = |to: (&str, u16)| {
            let (client, endpoint) = ((ip("10.244.1.7"), 40000), (ip("10.244.1.9"), 53));
            conntrack_netlink::Flow::new(
                Tuple::ports(Protocol::UDP, client, (ip(to.0), to.1)),
                Tuple::ports(Protocol::UDP, endpoint, client),
            )
        };
        let servers = BTreeSet::from(["-u 10.0.0.53:53".parse().unwrap()]);
        let taken = flow_to(&servers, &flow(("10.0.0.53", 53))).unwrap();
        assert_eq!(taken.client.to_string(), "10.244.1.7:40000");
        assert_eq!(taken.answers.to_string(), "10.244.1.9:53");
        assert_eq!(flow_to(&servers, &flow(("10.0.0.53", 54))), None);
        assert_eq!(flow_to(&servers, &flow(("10.0.0.54", 53))), None);
    }
}
