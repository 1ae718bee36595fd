//! kube-proxy's own configuration.

mod conntrack;
mod fields;
mod process;

use std::fmt;
use std::time::Duration;

use ipnetwork::IpNetwork;
use ipvs_netlink::Scheduler;
use serde::Deserialize;
use serde_json::Value;

pub use self::conntrack::Conntrack;
use self::fields::KubeProxyConfiguration;
pub use self::process::{LogFormat, Logging, Process};
use super::documents::{self, Document};
use super::quantity;
use proxier::cluster::Family;
use proxier::{Config, DetectLocal, NodePortAddresses};

/// A configuration that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigReading {
    /// What it says of what is programmed.
    pub config: Config,
    /// What it says of the process that does so.
    pub process: Process,
    /// Whether it says which mode it is of, which can only be `ipvs`.
    pub names_mode: bool,
    /// What it says that changes nothing here, by field: of other modes, mostly.
    pub unused: Vec<Box<str>>,
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: Box<str>,
    /// What is wrong, each with its field.
    pub faults: Vec<Fault>,
}

/// A field of a configuration and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Its path, such as `ipvs.scheduler`; empty for the file as a whole.
    pub field: Box<str>,
    /// What is wrong.
    pub reason: Box<str>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: ", self.file)?;
            if !fault.field.is_empty() {
                write!(f, "{}: ", fault.field)?;
            }
            f.write_str(&fault.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Reads a `KubeProxyConfiguration` (kubeproxy.config.k8s.io/v1alpha1). `file` is only what errors call it.
///
/// # Errors
///
/// All that is wrong at once: text that cannot be read, fields that there are not, values that cannot be.
/// Sections that concern other modes are taken as they are.
pub fn read_config(file: &str, bytes: &[u8]) -> Result<ConfigReading, ConfigError> {
    let mut faults = Faults::default();
    let value = document(bytes, &mut faults);
    conclude(file, value, faults)
}

/// Reads a `KubeProxyConfiguration` that something else than a file says, such as a command line: what
/// [`read_config`] finds in one. `source` is only what errors call it.
///
/// # Errors
///
/// As [`read_config`].
pub fn read_config_value(source: &str, value: Value) -> Result<ConfigReading, ConfigError> {
    conclude(source, Some(value), Faults::default())
}

fn conclude(
    file: &str,
    value: Option<Value>,
    mut faults: Faults,
) -> Result<ConfigReading, ConfigError> {
    let reading = value
        .and_then(|value| known_fields(value, &mut faults))
        .map(|raw| interpret(&raw, &mut faults));
    match reading {
        Some(reading) if faults.0.is_empty() => Ok(reading),
        _ => {
            faults.0.sort();
            Err(ConfigError {
                file: file.into(),
                faults: faults.0,
            })
        }
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: impl Into<Box<str>>, reason: impl Into<Box<str>>) {
        self.0.push(Fault {
            field: field.into(),
            reason: reason.into(),
        });
    }

    /// The value, or a default after noting what is wrong with it.
    fn take<T: Default>(&mut self, field: &str, result: Result<T, String>) -> T {
        result.unwrap_or_else(|reason| {
            self.add(field, reason);
            T::default()
        })
    }
}

/// The configuration among the documents of a file: kubeadm's hold others beside it.
fn document(bytes: &[u8], faults: &mut Faults) -> Option<Value> {
    let mut found = Vec::new();
    documents::each(bytes, |number, document| match document {
        Document::Value(value) => found.push(value),
        Document::Unreadable(reason) => faults.add("", format!("document {number} {reason}")),
    });
    let alone = found.len() == 1;
    let mut ours = found
        .into_iter()
        .filter(|v| alone || v.get("kind").is_some_and(|k| k == "KubeProxyConfiguration"));
    let first = ours.next();
    if ours.next().is_some() {
        faults.add("", "holds more than one KubeProxyConfiguration");
    } else if first.is_none() && faults.0.is_empty() {
        faults.add("", "holds no KubeProxyConfiguration");
    }
    first
}

/// Reads the fields, noting those that there are not.
fn known_fields(value: Value, faults: &mut Faults) -> Option<KubeProxyConfiguration> {
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = |path: serde_ignored::Path<'_>| {
        // Optional sections show up as `?` in such paths.
        let path = path.to_string().replace(".?", "");
        faults.add(
            path,
            "there is no such field in a KubeProxyConfiguration; is it misspelt?",
        );
    };
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = KubeProxyConfiguration::deserialize(serde_ignored::Deserializer::new(
        tracked,
        &mut unknown,
    ));
    match result {
        Ok(raw) => Some(raw),
        Err(error) => {
            faults.add(track.path().to_string(), error.to_string());
            None
        }
    }
}

fn interpret(raw: &KubeProxyConfiguration, faults: &mut Faults) -> ConfigReading {
    check_head(raw, faults);
    let defaults = Config::default();
    let mut config = Config {
        hostname_override: process::node_name(raw, faults),
        detect_local: detect_local(raw, faults),
        node_port_addresses: node_port_addresses(raw.node_port_addresses.as_deref(), faults),
        ..defaults
    };
    if let Some(iptables) = &raw.iptables {
        config.masquerade_all = iptables.masquerade_all.unwrap_or(false);
        match iptables.masquerade_bit.map(u8::try_from) {
            None => {}
            Some(Ok(bit @ 0..=31)) => config.masquerade_bit = bit,
            Some(_) => faults.add("iptables.masqueradeBit", "is not from 0 to 31"),
        }
    }
    if let Some(ipvs) = &raw.ipvs {
        self::ipvs(ipvs, &mut config, faults);
    }
    ConfigReading {
        config,
        process: process::read(raw, faults),
        names_mode: raw.mode.as_deref().is_some_and(|mode| !mode.is_empty()),
        unused: raw.unused(),
    }
}

fn check_head(raw: &KubeProxyConfiguration, faults: &mut Faults) {
    match raw.kind.as_deref() {
        Some("KubeProxyConfiguration") => {}
        Some(other) => faults.add("kind", format!("{other:?} is not KubeProxyConfiguration")),
        None => faults.add("kind", "is missing; it should be KubeProxyConfiguration"),
    }
    match raw.api_version.as_deref() {
        Some("kubeproxy.config.k8s.io/v1alpha1") => {}
        Some(other) => {
            faults.add(
                "apiVersion",
                format!("{other:?} is not kubeproxy.config.k8s.io/v1alpha1"),
            );
        }
        None => faults.add(
            "apiVersion",
            "is missing; it should be kubeproxy.config.k8s.io/v1alpha1",
        ),
    }
    match raw.mode.as_deref() {
        None | Some("" | "ipvs") => {}
        Some(other) => faults.add(
            "mode",
            format!("{other:?} is not done here: this proxy has the mode ipvs only"),
        ),
    }
}

fn ipvs(raw: &fields::Ipvs, config: &mut Config, faults: &mut Faults) {
    match raw.scheduler.as_deref() {
        None | Some("") => {}
        Some(name) => match name.parse::<Scheduler>() {
            Ok(scheduler) => config.scheduler = scheduler,
            Err(error) => faults.add("ipvs.scheduler", error.to_string()),
        },
    }
    config.strict_arp = raw.strict_arp.unwrap_or(false);
    config.exclude_cidrs = networks("ipvs.excludeCIDRs", raw.exclude_cidrs.as_deref(), faults);
    let mut period = |field: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        let result = quantity::duration(text);
        Some(faults.take(&format!("ipvs.{field}"), result))
    };
    let nonzero = |period: Option<Duration>| period.filter(|period| !period.is_zero());
    if let Some(sync) = nonzero(period("syncPeriod", &raw.sync_period)) {
        config.sync_period = sync;
    }
    if let Some(min) = nonzero(period("minSyncPeriod", &raw.min_sync_period)) {
        config.min_sync_period = min;
    }
    let timeouts = [
        ("tcpTimeout", &raw.tcp_timeout, &mut config.timeouts.tcp),
        (
            "tcpFinTimeout",
            &raw.tcp_fin_timeout,
            &mut config.timeouts.tcp_fin,
        ),
        ("udpTimeout", &raw.udp_timeout, &mut config.timeouts.udp),
    ];
    for (field, text, timeout) in timeouts {
        if let Some(period) = period(field, text) {
            *timeout = u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
        }
    }
    if config.min_sync_period > config.sync_period {
        faults.add("ipvs.minSyncPeriod", "is longer than ipvs.syncPeriod");
    }
}

fn detect_local(raw: &KubeProxyConfiguration, faults: &mut Faults) -> DetectLocal {
    let cidrs: Vec<_> = raw
        .cluster_cidr
        .iter()
        .flat_map(|cidrs| cidrs.split(','))
        .map(|cidr| cidr.trim().to_owned())
        .filter(|cidr| !cidr.is_empty())
        .collect();
    let networks = networks("clusterCIDR", Some(&cidrs), faults);
    let of = |family| {
        networks
            .iter()
            .filter(|n| Family::of(n.ip()) == family)
            .count()
    };
    if Family::ALL.into_iter().any(|family| of(family) > 1) {
        faults.add("clusterCIDR", "has more than one network of a family");
    }
    let named = |name: Option<&Option<String>>| -> Option<Box<str>> {
        name.and_then(Option::as_deref)
            .filter(|name| !name.is_empty())
            .map(Into::into)
    };
    let detail = raw.detect_local.as_ref();
    match raw.detect_local_mode.as_deref() {
        None | Some("" | "ClusterCIDR") => DetectLocal::ClusterCidr(networks),
        Some("NodeCIDR") => DetectLocal::NodeCidr,
        Some("BridgeInterface") => match named(detail.map(|d| &d.bridge_interface)) {
            Some(name) => DetectLocal::BridgeInterface(name),
            None => {
                faults.add(
                    "detectLocal.bridgeInterface",
                    "is needed with BridgeInterface",
                );
                DetectLocal::NodeCidr
            }
        },
        Some("InterfaceNamePrefix") => match named(detail.map(|d| &d.interface_name_prefix)) {
            Some(prefix) => DetectLocal::InterfaceNamePrefix(prefix),
            None => {
                faults.add(
                    "detectLocal.interfaceNamePrefix",
                    "is needed with InterfaceNamePrefix",
                );
                DetectLocal::NodeCidr
            }
        },
        Some(other) => {
            let modes = "ClusterCIDR, NodeCIDR, BridgeInterface and InterfaceNamePrefix";
            faults.add("detectLocalMode", format!("{other:?} is none of {modes}"));
            DetectLocal::NodeCidr
        }
    }
}

fn node_port_addresses(texts: Option<&[String]>, faults: &mut Faults) -> NodePortAddresses {
    match texts.unwrap_or_default() {
        [] => NodePortAddresses::All,
        [primary] if primary == "primary" => NodePortAddresses::Primary,
        texts => NodePortAddresses::Within(networks("nodePortAddresses", Some(texts), faults)),
    }
}

fn networks(field: &str, texts: Option<&[String]>, faults: &mut Faults) -> Vec<IpNetwork> {
    let mut networks = Vec::new();
    for (n, text) in texts.unwrap_or_default().iter().enumerate() {
        match text.parse::<IpNetwork>() {
            Ok(network) if text.contains('/') => networks.push(network),
            _ => faults.add(
                format!("{field}[{n}]"),
                format!("{text:?} is no network such as 10.0.0.0/8"),
            ),
        }
    }
    networks
}

#[cfg(test)]
mod tests;
