//! What a `KubeProxyConfiguration` sets for the process: its servers, its logs, how it reaches the API, the node's
//! connection tracking.
//!
//! Defaults and limits are those of kube-proxy: `pkg/proxy/apis/config/v1alpha1/defaults.go` and
//! `pkg/proxy/apis/config/validation` in kubernetes/kubernetes.

mod conntrack;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::ValueEnum as _;
use proxier::Config;
use proxier_manifest::{
    ConfigDocument, ConfigError, FieldErrors, KubeProxyConfiguration, LoggingConfiguration,
    parse_duration,
};

pub use self::conntrack::Conntrack;
use crate::layout::LayoutChoice;

/// The port of `/healthz` if none is set.
const HEALTHZ_PORT: u16 = 10256;
/// The port of `/metrics` if none is set.
const METRICS_PORT: u16 = 10249;

/// A configuration that was read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigReading {
    /// What it sets for Services.
    pub config: Config,
    /// What it sets for the process.
    pub process: Process,
    /// Which layout it names (`ipvs.layout`, a field of this proxy alone).
    pub layout: LayoutChoice,
    /// Whether it names its mode.
    pub names_mode: bool,
    /// The fields that are set and without effect here, by their paths.
    pub unused: Vec<Box<str>>,
    /// What is ignored because no such field exists, a line each with the file and the field.
    pub warnings: Vec<String>,
}

/// Checks and reads a configuration.
///
/// # Errors
/// [`ConfigError`] with all that is wrong, for Services and for the process.
pub fn read(document: &ConfigDocument) -> Result<ConfigReading, ConfigError> {
    let mut errors = FieldErrors::default();
    let fields = &document.fields;
    let unused = fields
        .of_other_modes()
        .into_iter()
        .chain(without_effect(fields));
    let config = document.config(&mut errors);
    let reading = ConfigReading {
        config,
        layout: layout(fields, &mut errors),
        process: Process::read(fields, &mut errors),
        names_mode: document.names_mode(),
        unused: unused.map(Into::into).collect(),
        warnings: document
            .warnings
            .iter()
            .map(|warning| format!("{}: {warning}", document.source))
            .collect(),
    };
    document.conclude(reading, errors)
}

fn layout(fields: &KubeProxyConfiguration, errors: &mut FieldErrors) -> LayoutChoice {
    let ipvs = fields.ipvs.as_ref();
    let name = nonempty(ipvs.and_then(|ipvs| ipvs.layout.as_ref()));
    let name = name.map(|name| LayoutChoice::from_str(name, false).map_err(|_| name));
    name.transpose()
        .unwrap_or_else(|name| {
            let names = LayoutChoice::value_variants().iter();
            let names =
                names.filter_map(|choice| Some(choice.to_possible_value()?.get_name().to_owned()));
            let names = names.collect::<Vec<_>>().join(", ");
            errors.add("ipvs.layout", format!("{name:?} is not one of {names}"));
            None
        })
        .unwrap_or_default()
}

/// What a configuration sets for the process that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The kubeconfig file (`clientConnection.kubeconfig`); none to be a pod of the cluster.
    pub kubeconfig: Option<Box<str>>,
    /// Where `/healthz` and `/livez` are served (`healthzBindAddress`). A configuration always sets it;
    /// `None` turns the server off.
    pub healthz_bind_address: Option<SocketAddr>,
    /// Where `/metrics` and `/proxyMode` are served (`metricsBindAddress`); `None` as above.
    pub metrics_bind_address: Option<SocketAddr>,
    /// Whether an address that cannot be bound ends the process (`bindAddressHardFail`).
    pub bind_address_hard_fail: bool,
    /// Which features are set on or off (`featureGates`).
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

/// The fields for the process that are set and without effect in this daemon, by their paths.
#[must_use]
pub fn without_effect(fields: &KubeProxyConfiguration) -> Vec<&'static str> {
    let client = fields.client_connection.as_ref();
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let all = [
        (
            "conntrack.max",
            fields.conntrack.as_ref().is_some_and(|c| c.max.is_some()),
        ),
        ("configSyncPeriod", set(&fields.config_sync_period)),
        ("portRange", set(&fields.port_range)),
        ("enableProfiling", fields.enable_profiling == Some(true)),
        (
            "showHiddenMetricsForVersion",
            set(&fields.show_hidden_metrics_for_version),
        ),
        (
            "clientConnection.acceptContentTypes",
            client.is_some_and(|c| set(&c.accept_content_types)),
        ),
        (
            "clientConnection.contentType",
            client.is_some_and(|c| set(&c.content_type)),
        ),
        (
            "clientConnection.qps",
            client.is_some_and(|c| c.qps.is_some_and(|qps| qps != 0.0)),
        ),
        (
            "clientConnection.burst",
            client.is_some_and(|c| c.burst.is_some_and(|burst| burst != 0)),
        ),
    ];
    let set = all.into_iter().filter(|(_, set)| *set);
    set.map(|(path, _)| path).collect()
}

impl Process {
    /// Checks and reads what a configuration sets for the process. Adds what is wrong with it to `errors`.
    #[must_use]
    pub fn read(raw: &KubeProxyConfiguration, errors: &mut FieldErrors) -> Self {
        // The bind address only decides the family of the others.
        let any = match nonempty(raw.bind_address.as_ref()).map(str::parse) {
            Some(Ok(IpAddr::V6(_))) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Some(Err(_)) => {
                errors.add("bindAddress", "is not an IP address");
                Ipv4Addr::UNSPECIFIED.into()
            }
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let mut address = |field: &str, given: Option<&String>, ip: IpAddr, port: u16| {
            let Some(given) = nonempty(given) else {
                return Some(SocketAddr::new(ip, port));
            };
            bind_address(given, port)
                .map_err(|reason| errors.add(field, reason))
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
        let deerrors = Process::default();
        let oom_score_adj = match raw.oom_score_adj.map(i16::try_from) {
            None => deerrors.oom_score_adj,
            Some(Ok(score @ -1000..=1000)) => score,
            Some(_) => {
                errors.add("oomScoreAdj", "is not from -1000 to 1000");
                deerrors.oom_score_adj
            }
        };
        if let Some(text) = nonempty(raw.config_sync_period.as_ref()) {
            errors.take("configSyncPeriod", parse_duration(text));
        }
        let client = raw.client_connection.as_ref();
        if client.and_then(|client| client.burst).unwrap_or(0) < 0 {
            errors.add("clientConnection.burst", "is negative");
        }
        Process {
            kubeconfig: nonempty(client.and_then(|client| client.kubeconfig.as_ref()))
                .map(Into::into),
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
                .map(|raw| logging(raw, errors))
                .unwrap_or_default(),
            oom_score_adj,
            conntrack: conntrack::read(raw.conntrack.as_ref(), errors),
        }
    }
}

fn nonempty(text: Option<&String>) -> Option<&str> {
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
            "{text:?} is not an address such as 0.0.0.0:{usual} or [::]:{usual}"
        )),
    }
}

fn logging(raw: &LoggingConfiguration, errors: &mut FieldErrors) -> Logging {
    let format = match raw.format.as_deref() {
        None | Some("" | "text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            errors.add(
                "logging.format",
                format!("{other:?} is neither text nor json"),
            );
            LogFormat::Text
        }
    };
    let verbosity = raw.verbosity.map(u32::try_from).unwrap_or(Ok(0));
    let verbosity = verbosity.unwrap_or_else(|_| {
        errors.add("logging.verbosity", "is negative, or too large");
        0
    });
    Logging { format, verbosity }
}

#[cfg(test)]
mod tests;
