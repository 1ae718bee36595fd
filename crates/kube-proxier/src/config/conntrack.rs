//! The fields of a `KubeProxyConfiguration` about the node's connection tracking.
//!
//! Deerrors: `pkg/proxy/apis/config/v1alpha1/deerrors.go` in kubernetes/kubernetes; limits: its
//! `pkg/proxy/apis/config/validation`.

use proxier_manifest::{ConntrackConfiguration, FieldErrors, parse_duration};

use super::nonempty;

/// How the node's connection tracking is to be set up. What is 0 or false is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conntrack {
    /// How many connections may be tracked for each processor (`conntrack.maxPerCore`).
    pub max_per_core: u32,
    /// How many at least, however few processors there are (`conntrack.min`); nothing where `max_per_core` is 0.
    pub min: u32,
    /// When an idle TCP connection is forgotten, in seconds (`conntrack.tcpEstablishedTimeout`).
    pub tcp_established_timeout: u32,
    /// When one in CLOSE_WAIT is, in seconds (`conntrack.tcpCloseWaitTimeout`).
    pub tcp_close_wait_timeout: u32,
    /// Whether TCP packets outside of the window are let through as well (`conntrack.tcpBeLiberal`).
    pub tcp_be_liberal: bool,
    /// When UDP that nobody answered is forgotten, in seconds (`conntrack.udpTimeout`).
    pub udp_timeout: u32,
    /// When UDP that was answered is, in seconds (`conntrack.udpStreamTimeout`).
    pub udp_stream_timeout: u32,
}

impl Default for Conntrack {
    fn default() -> Self {
        Self {
            max_per_core: 32 << 10,
            min: 128 << 10,
            tcp_established_timeout: 24 * 60 * 60,
            tcp_close_wait_timeout: 60 * 60,
            tcp_be_liberal: false,
            udp_timeout: 0,
            udp_stream_timeout: 0,
        }
    }
}

pub(super) fn read(raw: Option<&ConntrackConfiguration>, errors: &mut FieldErrors) -> Conntrack {
    let mut conntrack = Conntrack::default();
    let Some(raw) = raw else {
        return conntrack;
    };
    for (field, given, number) in [
        ("maxPerCore", raw.max_per_core, &mut conntrack.max_per_core),
        ("min", raw.min, &mut conntrack.min),
    ] {
        match given.map(i32::try_from) {
            None => {}
            Some(Ok(given @ 0..)) => *number = given.unsigned_abs(),
            Some(_) => errors.add(
                format!("conntrack.{field}"),
                format!("is not from 0 to {}", i32::MAX),
            ),
        }
    }
    for (field, given, seconds) in [
        (
            "tcpEstablishedTimeout",
            &raw.tcp_established_timeout,
            &mut conntrack.tcp_established_timeout,
        ),
        (
            "tcpCloseWaitTimeout",
            &raw.tcp_close_wait_timeout,
            &mut conntrack.tcp_close_wait_timeout,
        ),
        ("udpTimeout", &raw.udp_timeout, &mut conntrack.udp_timeout),
        (
            "udpStreamTimeout",
            &raw.udp_stream_timeout,
            &mut conntrack.udp_stream_timeout,
        ),
    ] {
        if let Some(text) = nonempty(given.as_ref()) {
            let timeout = errors.take(&format!("conntrack.{field}"), parse_duration(text));
            *seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        }
    }
    conntrack.tcp_be_liberal = raw.tcp_be_liberal.unwrap_or(false);
    conntrack
}
