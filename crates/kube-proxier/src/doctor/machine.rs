//! Permissions, links, settings and addresses.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;

use proxier::{LINK, Layout};

use super::{Check, Machine, Verdict};
use crate::local_ports::{self, LocalPorts, NODE_PORTS, ranges};
use crate::options::Options;

/// With their numbers, from the kernel's `linux/capability.h`. iptables opens raw sockets.
const CAPABILITIES: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13)];
const CAPABILITY_REMEDY: &str =
    "run it as root, or in a container with `capabilities: {add: [NET_ADMIN, NET_RAW]}`";

impl Machine {
    /// What netlink and the iptables tools need.
    pub(super) fn capabilities(&self, layout: Layout) -> [Check; 2] {
        let status = fs::read_to_string(self.root.join("proc/self/status")).unwrap_or_default();
        let effective = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        CAPABILITIES.map(|(name, bit)| match effective {
            None => Check::no(
                Verdict::Warning,
                name,
                "/proc cannot be read",
                "mount /proc",
            ),
            Some(bits) if bits >> bit & 1 == 1 => Check::works(name, "this process has it"),
            Some(_) if name == "CAP_NET_RAW" && layout == Layout::Nftables => Check::no(
                Verdict::Warning,
                name,
                "this process does not have it: what others do to virtual servers is found at the next full sync only",
                CAPABILITY_REMEDY,
            ),
            Some(_) => Check::no(
                Verdict::Fails,
                name,
                "this process does not have it",
                CAPABILITY_REMEDY,
            ),
        })
    }

    pub(super) fn settings(&self) -> Vec<Check> {
        let read = |path: &str| {
            let text = fs::read_to_string(self.root.join("proc/sys").join(path)).ok()?;
            Some(text.trim().to_owned())
        };
        let mut checks = Vec::new();
        checks.push(match read("net/ipv4/ip_forward").as_deref() {
            Some("1") => Check::works("ip_forward", "1"),
            Some(other) => Check {
                remedy: Some("sysctl -w net.ipv4.ip_forward=1".to_owned()),
                ..Check::works("ip_forward", format!("{other}; the daemon sets it"))
            },
            None => Check::no(
                Verdict::Warning,
                "ip_forward",
                "cannot be read",
                "mount /proc",
            ),
        });
        for (family, name) in [
            ("", "bridge-nf-call-iptables"),
            ("6", "bridge-nf-call-ip6tables"),
        ] {
            // Without br_netfilter the setting does not exist, and nothing is wrong.
            match read(&format!("net/bridge/bridge-nf-call-ip{family}tables")).as_deref() {
                None => {}
                Some("1") => checks.push(Check::works(name, "1")),
                Some(_) => checks.push(Check::no(
                    Verdict::Warning,
                    name,
                    "0: pods on one bridge answer each other past connection tracking",
                    format!("sysctl -w net.bridge.{name}=1"),
                )),
            }
        }
        checks.push(match read("net/ipv6/conf/all/disable_ipv6").as_deref() {
            Some("0") => Check::works("IPv6", "on"),
            Some(_) => Check::no(
                Verdict::Warning,
                "IPv6",
                "switched off: IPv6 Services cannot be served",
                "sysctl -w net.ipv6.conf.all.disable_ipv6=0",
            ),
            None => Check::no(
                Verdict::Warning,
                "IPv6",
                "this kernel has none: IPv6 Services cannot be served",
                "",
            ),
        });
        checks
    }
}

impl Machine {
    /// Node ports that the node may use for its own connections.
    pub(super) fn node_ports(&self) -> Option<Check> {
        let local = LocalPorts::read(&self.root)?;
        let taken = local.taken(NODE_PORTS);
        let name = "node ports";
        Some(if taken.is_empty() {
            let range = local.range();
            Check::works(
                name,
                format!("none of 30000-32767 is a local port ({range})"),
            )
        } else {
            let shown: Vec<_> = ranges(&taken).iter().map(local_ports::shown).collect();
            Check::no(
                Verdict::Warning,
                name,
                format!(
                    "the kernel gives {} to connections of this node (ip_local_port_range {}): one that has a node port hangs",
                    shown.join(","),
                    local.range()
                ),
                local.remedy(&taken),
            )
        })
    }
}

/// Whether there is the link, or can be one. One that was made to see is deleted again.
pub(crate) fn dummy_link() -> Check {
    let name = "dummy link";
    let fails = |error: dummy_link::Error| {
        let remedy = match error {
            dummy_link::Error::NotPermitted { .. } => CAPABILITY_REMEDY,
            _ => "modprobe dummy",
        };
        Check::no(Verdict::Fails, name, error.to_string(), remedy)
    };
    let mut client = match dummy_link::Client::open() {
        Ok(client) => client,
        Err(error) => return fails(error),
    };
    let Ok(link) = LINK.parse() else {
        return Check::works(name, LINK);
    };
    match client.link(link) {
        Ok(found) if found.is_dummy() => return Check::works(name, format!("{LINK} is there")),
        Ok(_) => {
            return Check::no(
                Verdict::Fails,
                name,
                format!("{LINK} is a link of another kind"),
                format!("ip link delete {LINK}"),
            );
        }
        Err(_) => {}
    }
    let Ok(trial) = "kube-doctor0".parse() else {
        return Check::works(name, LINK);
    };
    match client.ensure(trial).and_then(|_| client.delete(trial)) {
        Ok(_) => Check::works(name, "can be made"),
        Err(error) => fails(error),
    }
}

/// Whether the daemon's addresses can be served on.
pub(super) fn ports(options: &Options) -> Vec<Check> {
    let process = &options.process;
    let addresses = [
        ("health address", process.healthz_bind_address),
        ("metrics address", process.metrics_bind_address),
    ];
    let bad = if process.bind_address_hard_fail {
        Verdict::Fails
    } else {
        Verdict::Warning
    };
    addresses
        .into_iter()
        .map(|(name, address)| {
            let Some(address) = address else {
                return Check::works(name, "none: not served");
            };
            match TcpListener::bind(address) {
                Ok(_) => Check::works(name, format!("{address} is free")),
                Err(error) if error.kind() == ErrorKind::AddrInUse => Check::no(
                    bad,
                    name,
                    format!("{address} is in use; does kube-proxy, or another of these, run?"),
                    format!("ss -ltnp 'sport = :{}'", address.port()),
                ),
                Err(error) => Check::no(bad, name, format!("{address}: {error}"), ""),
            }
        })
        .collect()
}
