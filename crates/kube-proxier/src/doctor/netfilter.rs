//! ipset and iptables, and what other proxy modes left there.

use std::process::{Command, Stdio};

use ipset_netlink::SetType;
use iptables_restore::{BackendRules, ToolFinder};

use super::{Check, Machine, Verdict};

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

/// The tools of IPv6, without which IPv4 is served alone.
const IPV6: &str = "ip6tables";

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
        if let Err(error) = client.type_info(set_type, ipset_netlink::Family::V4) {
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

/// The tools of both families and all back ends, and the rules there. Each run of a tool takes its time, so all is
/// looked at once.
pub(super) struct Tables {
    families: Vec<(
        &'static str,
        Result<Vec<BackendRules>, iptables_restore::Error>,
    )>,
}

impl Tables {
    pub(super) fn look() -> Self {
        let families = [
            ("iptables", iptables_restore::Family::V4),
            (IPV6, iptables_restore::Family::V6),
        ];
        Self {
            families: families
                .into_iter()
                .map(|(name, family)| (name, ToolFinder::new().survey(family)))
                .collect(),
        }
    }

    /// Whether there are tools that this kernel does what they ask. Without IPv6 there need be none for it.
    pub(super) fn tools(&self, ipv6: bool) -> Vec<Check> {
        let check = |(name, found): &(&'static str, Result<Vec<BackendRules>, _>)| {
            if *name == IPV6 && !ipv6 {
                return Check::works(IPV6, "not needed: this kernel has no IPv6");
            }
            let error = match found.as_ref().map(|found| found.first()) {
                Ok(Some(BackendRules {
                    tools,
                    rules: Ok(_),
                })) => {
                    let (version, backend) = (tools.version(), tools.backend());
                    let path = tools.restore_path().display();
                    return Check::works(*name, format!("{version} ({backend}), {path}"));
                }
                Ok(Some(BackendRules {
                    rules: Err(error), ..
                }))
                | Err(error) => error,
                Ok(None) => return no_tools(name, "there are none".to_owned()),
            };
            match error {
                iptables_restore::Error::ToolsNotFound { .. } => no_tools(name, error.to_string()),
                _ => Check::no(Verdict::Fails, *name, error.to_string(), "run it as root"),
            }
        };
        self.families.iter().map(check).collect()
    }

    /// Rules of kube-proxy's other modes, which still catch packets.
    pub(super) fn leftovers(&self) -> Vec<Check> {
        let surveys = self
            .families
            .iter()
            .filter_map(|(_, found)| found.as_ref().ok());
        let mut checks: Vec<_> = surveys.flat_map(|found| left_in(found)).collect();
        checks.extend(nftables_mode());
        if checks.is_empty() {
            checks.push(Check::works("leftovers", "none of other proxy modes"));
        }
        checks
    }
}

fn no_tools(name: &str, error: String) -> Check {
    let remedy = "apt-get install iptables";
    if name == IPV6 {
        let error = format!("{error}; without it IPv6 Services are not served");
        return Check::no(Verdict::Warning, name, error, remedy);
    }
    Check::no(Verdict::Fails, name, error, remedy)
}

impl Machine {
    /// Whether its kernel has IPv6: it has not where it was started with `ipv6.disable=1`.
    pub(super) fn has_ipv6(&self) -> bool {
        self.root.join("proc/sys/net/ipv6").exists()
    }
}

/// What is left in the back ends of one family, the one in use first.
fn left_in(found: &[BackendRules]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (number, BackendRules { tools, rules }) in found.iter().enumerate() {
        let Ok(rules) = rules else {
            continue;
        };
        let program = tools.save_path().display();
        let chains = || rules.tables.iter().flat_map(|table| &table.chains);
        let of_iptables_mode = chains()
            .filter(|chain| {
                let name = chain.name.as_str();
                OTHER_MODES.iter().any(|prefix| name.starts_with(prefix))
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
        let unused = number > 0;
        if unused && chains().any(|chain| chain.name.as_str() == "KUBE-SERVICES") {
            let backend = tools.backend();
            checks.push(Check::no(
                Verdict::Warning,
                "leftovers",
                format!(
                    "chains of a proxy in the {backend} tables, which this machine does not use ({program})"
                ),
                format!("{program} | grep -v KUBE- | {}", tools.restore_path().display()),
            ));
        }
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
