//! The configuration file: its format, its rules, and what it means to IPVS.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dummy_link::LinkName;
use ipvs_netlink::{
    DestinationConfig, DestinationId, ForwardingMethod, Protocol, Scheduler, VirtualServerConfig,
    VirtualServerId,
};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::check::{Check, Kind, Target};

const MAX_BYTES: u64 = 1 << 20;

/// What the program should do.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) process: Process,
    /// How long a backend that was removed may keep its connections.
    pub(crate) drain: Duration,
    pub(crate) servers: BTreeMap<VirtualServerId, VirtualServerConfig>,
    pub(crate) backends: BTreeMap<(VirtualServerId, DestinationId), Backend>,
}

/// What stays as it is while the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// The dummy link that holds the virtual addresses.
    pub(crate) link: LinkName,
    pub(crate) metrics: Option<SocketAddr>,
}

#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// With the weight that it has while it is up.
    pub(crate) config: DestinationConfig,
    pub(crate) target: Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    link: LinkName,
    metrics: Option<SocketAddr>,
    #[serde(deserialize_with = "duration")]
    drain: Duration,
    #[serde(default)]
    server: Vec<Spanned<ServerTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTable {
    address: SocketAddr,
    protocol: Protocol,
    scheduler: Scheduler,
    forwarding: ForwardingMethod,
    #[serde(default)]
    check: Check,
    #[serde(default)]
    backend: Vec<Spanned<BackendTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendTable {
    address: SocketAddr,
    weight: u16,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{file}: {source}")]
    Read { file: String, source: io::Error },
    #[error("{file}:{line}: {message}")]
    Invalid {
        file: String,
        line: usize,
        message: String,
    },
}

/// What is wrong, and at which byte of the file.
#[derive(Debug)]
struct Fault {
    at: usize,
    message: String,
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let mut text = String::new();
        let read = File::open(path).and_then(|open| {
            let length = open.take(MAX_BYTES + 1).read_to_string(&mut text)?;
            match length as u64 <= MAX_BYTES {
                true => Ok(()),
                false => Err(io::Error::other("is larger than 1 MiB")),
            }
        });
        if let Err(source) = read {
            return Err(Error::Read { file, source });
        }
        Self::parse(&text).map_err(|Fault { at, message }| {
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            Error::Invalid {
                file,
                line,
                message,
            }
        })
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let file: FileTable = toml::from_str(text).map_err(|error| Fault {
            at: error.span().map_or(0, |span| span.start),
            message: error.message().to_owned(),
        })?;
        let FileTable {
            link,
            metrics,
            drain,
            server,
        } = file;
        let mut config = Self {
            process: Process { link, metrics },
            drain,
            servers: BTreeMap::new(),
            backends: BTreeMap::new(),
        };
        for server in server {
            let at = server.span().start;
            config.add(at, server.into_inner())?;
        }
        Ok(config)
    }

    fn add(&mut self, at: usize, server: ServerTable) -> Result<(), Fault> {
        let ServerTable {
            address,
            protocol,
            forwarding,
            check,
            ..
        } = server;
        let id = VirtualServerId::address(protocol, address);
        let config = VirtualServerConfig::new(server.scheduler);
        let is_new = self.servers.insert(id, config).is_none();
        let balanced = [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&protocol);
        let [tunnel, masq] = [ForwardingMethod::Tunnel, ForwardingMethod::Masquerade];
        let forwards = [tunnel, masq, ForwardingMethod::DirectRoute].contains(&forwarding);
        let checkable =
            check.kind == Kind::None || protocol == Protocol::TCP || check.port.is_some();
        let blank = check.path.bytes().any(|byte| !byte.is_ascii_graphic());
        let rules = [
            (is_new, "address: another server has it, with this protocol"),
            (address.port() != 0, "address: needs a port"),
            (balanced, "protocol: is tcp, udp or sctp"),
            (forwards, "forwarding: is masq, route or tunnel"),
            (
                checkable,
                "check: is made by TCP, so it needs a `port`, or `type = \"none\"`",
            ),
            (
                !blank && check.path.starts_with('/'),
                "check.path: is `/` and more, without blanks",
            ),
        ];
        obey(at, format_args!("server {id:#}"), &rules)?;
        for backend in server.backend {
            let at = backend.span().start;
            let BackendTable {
                address: to,
                weight,
            } = backend.into_inner();
            let port = check.port.map_or(to.port(), u16::from);
            let target = Target {
                address: (to.ip(), port).into(),
                check: check.clone(),
            };
            let config = DestinationConfig::new(forwarding, weight.into());
            let backend = Backend { config, target };
            let is_new = self.backends.insert((id, to.into()), backend).is_none();
            let same_family = to.is_ipv4() == address.is_ipv4();
            let same_port = to.port() == address.port();
            let rules = [
                (is_new, "address: another backend of this server has it"),
                (to.port() != 0, "address: needs a port"),
                (
                    same_family || forwarding == tunnel,
                    "address: only a tunnel changes the family",
                ),
                (
                    same_port || forwarding == masq,
                    "address: only masq changes the port",
                ),
            ];
            obey(at, format_args!("server {id:#}, backend {to}"), &rules)?;
        }
        Ok(())
    }

    /// All that is to be checked.
    pub(crate) fn targets(&self) -> BTreeSet<&Target> {
        let targets = self.backends.values().map(|backend| &backend.target);
        targets
            .filter(|target| target.check.kind != Kind::None)
            .collect()
    }
}

/// The first rule that does not hold is the fault.
fn obey(at: usize, what: impl Display, rules: &[(bool, &str)]) -> Result<(), Fault> {
    let broken = rules.iter().find(|(holds, _)| !holds);
    broken.map_or(Ok(()), |(_, rule)| {
        Err(Fault {
            at,
            message: format!("{what}: {rule}"),
        })
    })
}

/// A duration as people write it: `500ms`, `2s`, `1m 30s`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = humantime::parse_duration(&text).unwrap_or_default();
    match parsed.is_zero() {
        false => Ok(parsed),
        true => Err(serde::de::Error::custom(format!(
            "{text:?} is not a duration such as `30s`"
        ))),
    }
}

#[cfg(test)]
mod tests;
