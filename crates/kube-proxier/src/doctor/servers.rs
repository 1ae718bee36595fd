//! Other people's virtual servers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipset_netlink::{Set, SetName};
use ipvs_netlink::VirtualServerId;
use proxier::cluster::Host;
use proxier::{Desired, LINK, Observed, ObservedServer, SetId};
use proxier_linux::Traces;

use super::{Check, Verdict};
use crate::options::Options;

/// Virtual servers that the proxy would take for leftovers of its own. Those that a proxy of ipvs mode made are
/// known by its link and its sets, so that a restart finds none.
pub(super) fn foreign(options: &Options) -> Vec<Check> {
    let servers = ipvs_netlink::Client::open().and_then(|mut client| client.services());
    let Ok(servers) = servers else {
        // Other checks explain why IPVS does not answer.
        return Vec::new();
    };
    let count = servers.len();
    let name = "virtual servers";
    if !options.config.remove_foreign_servers {
        return vec![Check::works(name, format!("{count}; those of others stay"))];
    }
    let found = servers
        .into_iter()
        .map(|server| ObservedServer::new(server.id, server.config));
    let mut observed = Observed::default();
    observed.servers = found.collect();
    observed.addresses = bound();
    observed.sets = own_sets();
    let mut host = Host::new(options.node_name.clone());
    let links = dummy_link::Client::open().and_then(|mut client| client.node_links());
    host.links = links.unwrap_or_default();
    let own = Desired::nothing(&observed, &host);
    let foreign: BTreeSet<IpAddr> = observed
        .servers
        .iter()
        .filter_map(|server| match server.id {
            VirtualServerId::Address { address, .. } if !own.owns(&server.id, &observed) => {
                Some(address)
            }
            _ => None,
        })
        .filter(|address| !options.config.excludes(*address))
        .collect();
    vec![if foreign.is_empty() {
        Check::works(
            name,
            format!("{count}, none of others that would be removed"),
        )
    } else {
        Check::no(
            Verdict::Warning,
            name,
            format!(
                "those at {} are of others and would be removed",
                texts(&foreign, ", ")
            ),
            remedy(&options.config.exclude_cidrs, foreign),
        )
    }]
}

fn bound() -> Option<Vec<IpNetwork>> {
    let mut client = dummy_link::Client::open().ok()?;
    let addresses = client.addresses(LINK.parse().ok()?).ok()?;
    Some(addresses.into_iter().collect())
}

/// The proxy's sets. One that cannot be read is as if it were not there.
fn own_sets() -> BTreeMap<SetName, Set> {
    if !Traces::look().sets {
        // To ask would load ipset.
        return BTreeMap::new();
    }
    let Ok(mut client) = ipset_netlink::Client::open() else {
        return BTreeMap::new();
    };
    let names: Vec<_> = client
        .headers()
        .unwrap_or_default()
        .into_iter()
        .map(|header| header.spec.name)
        .filter(|name| SetId::owner(name).is_some())
        .collect();
    names
        .into_iter()
        .filter_map(|name| Some((name, client.list(name).ok()?.set)))
        .collect()
}

/// How they stay: by the field of the configuration file, beside which the flag is ignored, or by the flag.
fn remedy(excluded: &[IpNetwork], foreign: BTreeSet<IpAddr>) -> String {
    let networks = excluded.iter().copied();
    let networks = networks.chain(foreign.into_iter().map(IpNetwork::from));
    let networks: Vec<_> = networks.collect();
    format!(
        "if they are to stay, `ipvs: {{excludeCIDRs: [{}]}}` in the configuration file, or \
         --ipvs-exclude-cidrs={} without one",
        texts(&networks, ", "),
        texts(&networks, ","),
    )
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>, between: &str) -> String {
    let texts: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    texts.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_keeps_what_is_excluded_already() {
        let excluded = ["10.98.0.0/16".parse().unwrap()];
        let foreign = ["fd00::1", "10.99.0.1"].map(|address| address.parse().unwrap());
        assert_eq!(
            remedy(&excluded, foreign.into()),
            "if they are to stay, `ipvs: {excludeCIDRs: [10.98.0.0/16, 10.99.0.1/32, fd00::1/128]}` in the \
             configuration file, or --ipvs-exclude-cidrs=10.98.0.0/16,10.99.0.1/32,fd00::1/128 without one"
        );
    }
}
