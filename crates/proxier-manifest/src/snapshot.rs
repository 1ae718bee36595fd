//! Kernel states as JSON, each part as the tool prints it that shows it.
//!
//! | key | what |
//! |---|---|
//! | `ipvs` | lines of `ipvsadm -Sn`, sorted |
//! | `ipset` | lines of `ipset save` without `initval` and `bucketsize`, sorted |
//! | `iptables`, `ip6tables` | lines of `iptables-save` and `ip6tables-save` without counters and comments |
//! | `addresses` | addresses by link, sorted |
//! | `sysctl` | values under `/proc/sys` |
//! | `ipvs_timeouts` | what `ipvsadm -L --timeout` prints |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ipset_netlink::parse_save;
use iptables_restore::{Ruleset, SaveFormat};
use ipvs_netlink::{SaveLine, Timeouts, VirtualServerId};
use serde::{Deserialize, Serialize};

use proxier::LINK;
use proxier::Sysctl;
use proxier::cluster::Family;
use proxier::cluster::PerFamily;
use proxier::dummy_link::{LocalRoute, MarkRule};
use proxier::{Observed, ObservedDestination, ObservedServer};

/// A kernel state as JSON. What is missing is as in an untouched kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Snapshot {
    /// Lines of `ipvsadm -Sn`, sorted.
    pub ipvs: Vec<String>,
    /// Lines of `ipset save`, sorted.
    pub ipset: Vec<String>,
    /// Lines of `iptables-save`.
    pub iptables: Vec<String>,
    /// Lines of `ip6tables-save`.
    pub ip6tables: Vec<String>,
    /// Addresses with their prefix lengths, by link.
    pub addresses: BTreeMap<String, Vec<String>>,
    /// Lines of `nft list table` of the proxy's tables. They can be written, and not be read back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nft: Vec<String>,
    /// The proxy's rules by mark as `ip rule` prints them, with `ip -6 rule` before those of IPv6. They cannot be read
    /// back either.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// The proxy's local routes as `ip route` prints them, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Values by path under `/proc/sys`.
    pub sysctl: BTreeMap<String, String>,
    /// The line of `ipvsadm -L --timeout`; empty for the kernel's own.
    pub ipvs_timeouts: String,
}

/// What is wrong with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{key}: {reason}")]
pub struct SnapshotError {
    /// The key it is under, and the line or name there.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

fn wrong(key: impl Into<String>, reason: impl fmt::Display) -> SnapshotError {
    SnapshotError {
        key: key.into(),
        reason: format!("{reason}"),
    }
}

impl Snapshot {
    /// A state as JSON.
    #[must_use]
    pub fn of(state: &Observed) -> Self {
        let mut ipvs = Vec::new();
        for ObservedServer {
            id,
            config,
            destinations,
            ..
        } in &state.servers
        {
            ipvs.push(
                SaveLine::AddService {
                    id: *id,
                    config: *config,
                }
                .to_string(),
            );
            ipvs.extend(destinations.iter().map(|d| {
                SaveLine::AddDestination {
                    service: *id,
                    destination: d.destination,
                }
                .to_string()
            }));
        }
        ipvs.sort();
        let mut ipset = Vec::new();
        for set in state.sets.values() {
            let mut portable = set.clone();
            portable.spec = set.spec.portable();
            ipset.extend(portable.lines().map(|line| line.to_string()));
        }
        ipset.sort();
        let lines = |rules: &Ruleset| {
            let text = rules.display(SaveFormat::PLAIN).to_string();
            text.lines().map(ToOwned::to_owned).collect()
        };
        let mut addresses = BTreeMap::new();
        if let Some(bound) = &state.addresses {
            let mut bound: Vec<_> = bound.iter().map(ToString::to_string).collect();
            bound.sort();
            addresses.insert(LINK.to_owned(), bound);
        }
        Self {
            ipvs,
            ipset,
            iptables: lines(&state.rules.v4),
            ip6tables: lines(&state.rules.v6),
            addresses,
            nft: tables(state),
            rules: state.routing.rules.iter().map(rule).collect(),
            routes: state.routing.routes.iter().map(route).collect(),
            sysctl: state
                .sysctls
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            ipvs_timeouts: state.timeouts.to_string(),
        }
    }

    /// The state that this describes. Links other than the proxy's own are left out.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] with the key, and the line there that cannot be read.
    pub fn state(&self) -> Result<Observed, SnapshotError> {
        let unreadable = [
            ("nft", &self.nft),
            ("rules", &self.rules),
            ("routes", &self.routes),
        ];
        for (key, lines) in unreadable {
            if !lines.is_empty() {
                let reason = "state of the nftables layout cannot be read; leave it out";
                return Err(wrong(key, reason));
            }
        }
        let sets = parse_save(in_order(&self.ipset)).map_err(|error| wrong("ipset", error))?;
        let sets = sets.into_iter().map(|mut set| {
            set.entries.sort();
            (set.spec.name, set)
        });
        let rules = |key: &str, lines: &[String]| {
            let rules = Ruleset::parse(&lines.join("\n")).map_err(|error| wrong(key, error))?;
            only_builtin_chains_have_policies(key, &rules).map(|()| rules)
        };
        let addresses = match self.addresses.get(LINK) {
            Some(texts) => {
                let parse = |text: &String| {
                    text.parse()
                        .map_err(|error| wrong(format!("addresses.{LINK}: {text:?}"), error))
                };
                let mut bound = texts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
                bound.sort();
                Some(bound)
            }
            None => None,
        };
        let mut state = Observed::default();
        state.servers = servers(&self.ipvs)?;
        state.sets = sets.collect();
        state.rules = PerFamily {
            v4: rules("iptables", &self.iptables)?,
            v6: rules("ip6tables", &self.ip6tables)?,
        };
        state.addresses = addresses;
        state.sysctls = sysctls(&self.sysctl)?;
        state.timeouts = match self.ipvs_timeouts.as_str() {
            "" => Timeouts {
                tcp: 900,
                tcp_fin: 120,
                udp: 300,
            },
            line => line
                .parse()
                .map_err(|error| wrong("ipvs_timeouts", error))?,
        };
        Ok(state)
    }
}

/// The proxy's tables as `nft` lists them.
fn tables(state: &Observed) -> Vec<String> {
    let of = |family| {
        let table = state.tables.get(family).as_ref()?;
        let ruleset = table.structure.ruleset(family, &table.elements);
        Some(ruleset.to_string())
    };
    let texts = Family::ALL.into_iter().filter_map(of);
    texts
        .flat_map(|text| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>())
        .collect()
}

fn rule(rule: &MarkRule) -> String {
    let MarkRule {
        family,
        priority,
        iif_lo,
        mark,
        table,
        protocol,
    } = rule;
    let command = six(*family, "rule");
    let link = if *iif_lo { " iif lo" } else { "" };
    format!(
        "{command}{priority}: from all fwmark {mark}{link} lookup {table} proto {}",
        protocol.0
    )
}

fn route(route: &LocalRoute) -> String {
    let LocalRoute {
        destination,
        table,
        protocol,
        ..
    } = route;
    let command = six(Family::of(destination.ip()), "route");
    let destination = match destination.prefix() {
        0 => "default".to_owned(),
        _ => destination.to_string(),
    };
    format!(
        "{command}local {destination} dev lo table {table} proto {}",
        protocol.0
    )
}

/// What lines of IPv6 begin with.
fn six(family: Family, command: &str) -> String {
    match family {
        Family::V4 => String::new(),
        Family::V6 => format!("ip -6 {command}: "),
    }
}

/// Sets are created before they get members; in sorted lines `add` comes before `create`.
fn in_order(lines: &[String]) -> String {
    let is_create = |line: &&String| line.starts_with("create ");
    let creates = lines.iter().filter(is_create);
    let others = lines.iter().filter(|line| !is_create(line));
    creates
        .chain(others)
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}

/// As in every kernel; a policy is also how [`iptables_restore`] distinguishes built-in chains from others.
fn only_builtin_chains_have_policies(key: &str, rules: &Ruleset) -> Result<(), SnapshotError> {
    for table in &rules.tables {
        let builtin = table.name.builtin_chains();
        if builtin.is_empty() {
            continue;
        }
        for chain in &table.chains {
            let reason = match (builtin.contains(&chain.name.as_str()), &chain.policy) {
                (false, Some(_)) => "has a policy and is not a built-in chain; write - for it",
                (true, None) => "is a built-in chain and has no policy; write ACCEPT or DROP",
                _ => continue,
            };
            return Err(wrong(
                format!("{key}: table {}", table.name),
                format_args!("chain {} {reason}", chain.name),
            ));
        }
    }
    Ok(())
}

fn twice(line: &str) -> SnapshotError {
    wrong(format!("ipvs: {line:?}"), "it is there twice; remove one")
}

fn servers(lines: &[String]) -> Result<Vec<ObservedServer>, SnapshotError> {
    let mut servers: BTreeMap<VirtualServerId, ObservedServer> = BTreeMap::new();
    let mut destinations = Vec::new();
    for line in lines {
        match line.parse::<SaveLine>() {
            Ok(SaveLine::AddService { id, config }) => {
                let server = ObservedServer::new(id, config);
                if servers.insert(id, server).is_some() {
                    return Err(twice(line));
                }
            }
            Ok(SaveLine::AddDestination {
                service,
                destination,
            }) => {
                destinations.push((service, destination, line));
            }
            Err(error) => return Err(wrong(format!("ipvs: {line:?}"), error)),
        }
    }
    let mut seen = BTreeSet::new();
    for (service, destination, line) in destinations {
        let Some(server) = servers.get_mut(&service) else {
            return Err(wrong(
                format!("ipvs: {line:?}"),
                "its virtual server is missing",
            ));
        };
        if !seen.insert((service, destination.id)) {
            return Err(twice(line));
        }
        let found = ObservedDestination::new(destination);
        server.destinations.push(found);
    }
    let mut servers: Vec<_> = servers.into_values().collect();
    for server in &mut servers {
        server
            .destinations
            .sort_by_key(|found| found.destination.id);
    }
    Ok(servers)
}

fn sysctls(values: &BTreeMap<String, String>) -> Result<BTreeMap<Sysctl, i64>, SnapshotError> {
    let mut sysctls: BTreeMap<_, _> = Sysctl::ALL
        .into_iter()
        .map(|sysctl| (sysctl, sysctl.fresh()))
        .collect();
    for (path, value) in values {
        let key = || format!("sysctl.{path}");
        let sysctl = Sysctl::from_path(path)
            .ok_or_else(|| wrong(key(), "is not a setting that a proxy may change"))?;
        let value = value
            .parse()
            .map_err(|_| wrong(key(), format!("{value:?} is not a number")))?;
        sysctls.insert(sysctl, value);
    }
    Ok(sysctls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_holds_once_is_refused_twice() {
        const SERVER: &str = "-A -t 10.96.0.10:53 -s rr";
        const DESTINATION: &str = "-a -t 10.96.0.10:53 -r 10.244.0.2:53 -m -w 1";
        for again in [SERVER, DESTINATION] {
            let mut snapshot = Snapshot {
                ipvs: vec![SERVER.into(), DESTINATION.into()],
                ..Snapshot::default()
            };
            assert!(snapshot.state().is_ok());
            snapshot.ipvs.push(again.into());
            let error = snapshot.state().unwrap_err().to_string();
            assert!(error.contains(again), "{error}");
        }
    }

    #[test]
    fn builtin_chains_have_a_policy_and_others_have_none() {
        let of = |chain: &str| {
            let lines = ["*nat", chain, "COMMIT"].map(String::from);
            let snapshot = Snapshot {
                iptables: lines.into(),
                ..Snapshot::default()
            };
            snapshot.state().map_err(|error| error.to_string())
        };
        assert!(of(":OUTPUT ACCEPT").is_ok());
        assert!(of(":WEB -").is_ok());
        assert!(of(":WEB ACCEPT").unwrap_err().contains("chain WEB"));
        assert!(of(":OUTPUT -").unwrap_err().contains("chain OUTPUT"));
    }
}
