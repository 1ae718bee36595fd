//! What a `KubeProxyConfiguration` says of the process: its servers, its logs, how it reaches the API.
//!
//! Defaults and limits are those of kube-proxy: `pkg/proxy/apis/config/v1alpha1/defaults.go` and
//! `pkg/proxy/apis/config/validation` in kubernetes/kubernetes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Faults;
use super::conntrack::{self, Conntrack};
use super::fields::{self, KubeProxyConfiguration};
use crate::quantity;

/// The port of `/healthz` where none is said.
const HEALTHZ_PORT: u16 = 10256;
/// The port of `/metrics` where none is said.
const METRICS_PORT: u16 = 10249;

/// What a configuration says of the process that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The kubeconfig file (`clientConnection.kubeconfig`); none to be a pod of the cluster.
    pub kubeconfig: Option<Box<str>>,
    /// Where `/healthz` and `/livez` are served (`healthzBindAddress`). A configuration always says it;
    /// `None` is for whoever has another way of saying so.
    pub healthz_bind_address: Option<SocketAddr>,
    /// Where `/metrics` and `/proxyMode` are served (`metricsBindAddress`); `None` as above.
    pub metrics_bind_address: Option<SocketAddr>,
    /// Whether an address that cannot be bound ends the process (`bindAddressHardFail`).
    pub bind_address_hard_fail: bool,
    /// Which features are said to be on or off (`featureGates`).
    pub feature_gates: BTreeMap<Box<str>, bool>,
    /// How the process logs (`logging`).
    pub logging: Logging,
    /// How readily the kernel is to kill it when memory runs out, -1000 to 1000 (`oomScoreAdj`).
    pub oom_score_adj: i16,
    /// How the node's connection tracking is set up (`conntrack`).
    pub conntrack: Conntrack,
}

/// How a process logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// The form of a line (`logging.format`).
    pub format: LogFormat,
    /// How much is logged, from 0, as klog's `-v` counts (`logging.verbosity`).
    pub verbosity: u32,
}

/// The form of a line of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

impl Default for Process {
    fn default() -> Self {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            kubeconfig: None,
            healthz_bind_address: Some(SocketAddr::new(any, HEALTHZ_PORT)),
            metrics_bind_address: Some(SocketAddr::new(loopback_of(any), METRICS_PORT)),
            bind_address_hard_fail: false,
            feature_gates: BTreeMap::new(),
            logging: Logging::default(),
            oom_score_adj: -999,
            conntrack: Conntrack::default(),
        }
    }
}

fn loopback_of(any: IpAddr) -> IpAddr {
    match any {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// The name of the Node, as kube-proxy takes it: without blanks around it, in lower case.
pub(super) fn node_name(raw: &KubeProxyConfiguration, faults: &mut Faults) -> Option<Box<str>> {
    let said = raw.hostname_override.as_deref()?;
    let name = said.trim().to_lowercase();
    if name.is_empty() && !said.is_empty() {
        faults.add("hostnameOverride", "is blank");
    }
    Some(name)
        .filter(|name| !name.is_empty())
        .map(String::into_boxed_str)
}

pub(super) fn read(raw: &KubeProxyConfiguration, faults: &mut Faults) -> Process {
    // Which address is bound says only of which family the others are.
    let any = match nonempty(raw.bind_address.as_ref()).map(str::parse) {
        Some(Ok(IpAddr::V6(_))) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Some(Err(_)) => {
            faults.add("bindAddress", "is no IP address");
            Ipv4Addr::UNSPECIFIED.into()
        }
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    let mut address = |field: &str, said: Option<&String>, ip: IpAddr, port: u16| {
        let Some(said) = nonempty(said) else {
            return Some(SocketAddr::new(ip, port));
        };
        bind_address(said, port)
            .map_err(|reason| faults.add(field, reason))
            .ok()
    };
    let healthz_bind_address = address(
        "healthzBindAddress",
        raw.healthz_bind_address.as_ref(),
        any,
        HEALTHZ_PORT,
    );
    let metrics_bind_address = address(
        "metricsBindAddress",
        raw.metrics_bind_address.as_ref(),
        loopback_of(any),
        METRICS_PORT,
    );
    let defaults = Process::default();
    let oom_score_adj = match raw.oom_score_adj.map(i16::try_from) {
        None => defaults.oom_score_adj,
        Some(Ok(score @ -1000..=1000)) => score,
        Some(_) => {
            faults.add("oomScoreAdj", "is not from -1000 to 1000");
            defaults.oom_score_adj
        }
    };
    if let Some(text) = nonempty(raw.config_sync_period.as_ref()) {
        faults.take("configSyncPeriod", quantity::duration(text));
    }
    let client = raw.client_connection.as_ref();
    if client.and_then(|client| client.burst).unwrap_or(0) < 0 {
        faults.add("clientConnection.burst", "is negative");
    }
    Process {
        kubeconfig: nonempty(client.and_then(|client| client.kubeconfig.as_ref())).map(Into::into),
        healthz_bind_address,
        metrics_bind_address,
        bind_address_hard_fail: raw.bind_address_hard_fail.unwrap_or(false),
        feature_gates: raw
            .feature_gates
            .iter()
            .flatten()
            .map(|(name, on)| (name.as_str().into(), *on))
            .collect(),
        logging: raw
            .logging
            .as_ref()
            .map(|raw| logging(raw, faults))
            .unwrap_or_default(),
        oom_score_adj,
        conntrack: conntrack::read(raw.conntrack.as_ref(), faults),
    }
}

pub(super) fn nonempty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// An address to serve on: `IP:PORT`, or `IP` alone for the usual port.
fn bind_address(text: &str, usual: u16) -> Result<SocketAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, usual));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err(format!("{text:?}: port 0 cannot be served on")),
        Ok(address) => Ok(address),
        Err(_) => Err(format!(
            "{text:?} is no address such as 0.0.0.0:{usual} or [::]:{usual}"
        )),
    }
}

fn logging(raw: &fields::Logging, faults: &mut Faults) -> Logging {
    let format = match raw.format.as_deref() {
        None | Some("" | "text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            faults.add(
                "logging.format",
                format!("{other:?} is neither text nor json"),
            );
            LogFormat::Text
        }
    };
    let verbosity = raw.verbosity.map(u32::try_from).unwrap_or(Ok(0));
    let verbosity = verbosity.unwrap_or_else(|_| {
        faults.add("logging.verbosity", "is negative, or too large");
        0
    });
    Logging { format, verbosity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_come_without_port() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1:7"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("::", "[::]:7"),
            ("[::1]", "[::1]:7"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(
                bind_address(text, 7),
                Ok(expected.parse().unwrap()),
                "{text}"
            );
        }
        for text in [
            ":80",
            "localhost:80",
            "1.2.3.4:",
            "1.2.3.4:0",
            "1.2.3.4:99999",
        ] {
            assert!(bind_address(text, 7).is_err(), "{text}");
        }
    }
}
