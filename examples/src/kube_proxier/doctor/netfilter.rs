//! ipset and iptables, and what other proxy modes left there.

use std::process::{Command, Stdio};

use ipset_netlink::SetType;
use iptables_restore::{Backend, SaveOptions, ToolFinder};

use super::{Check, Verdict};

/// The types of the proxy's sets.
const SET_TYPES: [SetType; 5] = [
    SetType::HASH_IP,
    SetType::HASH_IP_PORT,
    SetType::HASH_IP_PORT_IP,
    SetType::HASH_IP_PORT_NET,
    SetType::BITMAP_PORT,
];

/// Chains that only kube-proxy's iptables mode makes.
const OTHER_MODES: [&str; 5] = [
    "KUBE-SVC-",
    "KUBE-SEP-",
    "KUBE-XLB-",
    "KUBE-SVL-",
    "KUBE-EXT-",
];

pub(super) fn ipset() -> Check {
    let name = "ipset";
    let mut client = match ipset_netlink::Client::open() {
        Ok(client) => client,
        Err(error) => {
            return Check::no(
                Verdict::Fails,
                name,
                error.to_string(),
                "modprobe -a ip_set xt_set",
            );
        }
    };
    for set_type in SET_TYPES {
        if let Err(error) = client.type_info(set_type, ipset_netlink::Family::Inet) {
            // hash:ip,port is of ip_set_hash_ipport.
            let module = set_type.to_string().replace(':', "_").replace(',', "");
            return Check::no(
                Verdict::Fails,
                name,
                format!("set type {set_type}: {error}"),
                format!("modprobe ip_set_{module}"),
            );
        }
    }
    let protocol = client.protocol();
    Check::works(
        name,
        format!("protocol {protocol}, with all set types needed"),
    )
}

pub(super) fn iptables() -> Vec<Check> {
    [
        ("iptables", iptables_restore::Family::Inet),
        ("ip6tables", iptables_restore::Family::Inet6),
    ]
    .into_iter()
    .map(
        |(name, family)| match ToolFinder::new().find_in_use(family) {
            Ok(tools) => Check::works(
                name,
                format!(
                    "{} ({}), {}",
                    tools.version(),
                    tools.backend(),
                    tools.restore_path().display()
                ),
            ),
            Err(error @ iptables_restore::Error::ToolsNotFound { .. }) => Check::no(
                Verdict::Fails,
                name,
                error.to_string(),
                "apt-get install iptables",
            ),
            Err(error) => Check::no(Verdict::Fails, name, error.to_string(), "run it as root"),
        },
    )
    .collect()
}

/// Rules of kube-proxy's other modes, which still catch packets.
pub(super) fn leftovers() -> Vec<Check> {
    let mut checks = Vec::new();
    let in_use = ToolFinder::new()
        .find_in_use(iptables_restore::Family::Inet)
        .ok();
    for backend in [Backend::Legacy, Backend::Nft] {
        for family in [
            iptables_restore::Family::Inet,
            iptables_restore::Family::Inet6,
        ] {
            let Ok(tools) = ToolFinder::new().backend(backend).find(family) else {
                continue;
            };
            let Ok(rules) = tools.save(&SaveOptions::default()) else {
                continue;
            };
            let program = tools.save_path().display().to_string();
            let chains = || rules.tables.iter().flat_map(|table| &table.chains);
            let of_iptables_mode = chains()
                .filter(|chain| {
                    OTHER_MODES
                        .iter()
                        .any(|prefix| chain.name.as_str().starts_with(prefix))
                })
                .count();
            if of_iptables_mode > 0 {
                checks.push(Check::no(
                    Verdict::Warning,
                    "leftovers",
                    format!("{of_iptables_mode} chains of the iptables mode ({program})"),
                    "kube-proxy --cleanup",
                ));
            }
            let other = in_use
                .as_ref()
                .is_some_and(|tools| tools.backend() != backend);
            if other && chains().any(|chain| chain.name.as_str() == "KUBE-SERVICES") {
                checks.push(Check::no(
                    Verdict::Warning,
                    "leftovers",
                    format!("chains of a proxy in the {backend} tables, which this machine does not use ({program})"),
                    format!("{program} | grep -v KUBE- | {}", tools.restore_path().display()),
                ));
            }
        }
    }
    checks.extend(nftables_mode());
    if checks.is_empty() {
        checks.push(Check::works("leftovers", "none of other proxy modes"));
    }
    checks
}

/// The tables of kube-proxy's nftables mode.
fn nftables_mode() -> Vec<Check> {
    let listed = Command::new("nft")
        .args(["list", "tables"])
        .stdin(Stdio::null())
        .output();
    let Ok(listed) = listed else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&listed.stdout);
    let tables = text
        .lines()
        .map(str::trim)
        .filter(|line| line.ends_with(" kube-proxy"));
    tables
        .map(|table| {
            Check::no(
                Verdict::Warning,
                "leftovers",
                format!("{table}, of the nftables mode"),
                format!("nft delete {table}"),
            )
        })
        .collect()
}
