//! ipset and iptables, and what other proxy modes left there.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use ipset_netlink::SetType;
use iptables_restore::{BackendRules, Error, IncompleteReason, IncompleteTable, ToolFinder};

use super::command::printed;
use super::{Check, Machine, Verdict};

/// How long the tools of both families are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

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
    families: Vec<(&'static str, Result<Vec<BackendRules>, Error>)>,
}

impl Tables {
    pub(super) fn look() -> Self {
        let families = [
            ("iptables", iptables_restore::Family::V4),
            (IPV6, iptables_restore::Family::V6),
        ];
        let (sender, surveyed) = channel();
        for (name, family) in families {
            let sender = sender.clone();
            let survey = move || {
                // Nobody may be left who waits for it.
                let _ = sender.send((name, ToolFinder::new().survey(family)));
            };
            let thread = thread::Builder::new().name("survey".to_owned());
            if thread.spawn(survey.clone()).is_err() {
                survey();
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let mut found = BTreeMap::new();
        while found.len() < families.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((name, survey)) = surveyed.recv_timeout(left) else {
                break;
            };
            found.insert(name, survey);
        }
        let late = |name: &str| {
            Err(Error::TimedOut {
                program: name.into(),
                limit: PATIENCE,
            })
        };
        let families = families.map(|(name, _): (&'static str, _)| {
            (name, found.remove(name).unwrap_or_else(|| late(name)))
        });
        Self {
            families: families.into(),
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
                Error::ToolsNotFound { .. } => no_tools(name, error.to_string()),
                // That is a matter of its rules alone, which come once it answers.
                Error::TimedOut { .. } | Error::LockHeld { .. } => Check::no(
                    Verdict::Warning,
                    *name,
                    format!("{error}; until it answers no rules are changed, and all else is"),
                    "ps -ef | grep tables shows what runs, fuser -v /run/xtables.lock who holds the lock",
                ),
                Error::IncompleteTable(table) => {
                    let remedy = move_away(name, table);
                    Check::no(Verdict::Fails, *name, table.to_string(), remedy)
                }
                _ => Check::no(Verdict::Fails, *name, error.to_string(), "run it as root"),
            }
        };
        self.families.iter().map(check).collect()
    }

    /// What was found of each family, the back end in use first.
    pub(super) fn surveys(&self) -> impl Iterator<Item = &[BackendRules]> {
        let found = self.families.iter();
        found.filter_map(|(_, found)| found.as_deref().ok())
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

/// What to do with a table that the tools cannot show whole, since nft(8) made something in it.
fn move_away(tool: &str, table: &IncompleteTable) -> String {
    let family = if tool == IPV6 { "ip6" } else { "ip" };
    let name = table.table.as_str();
    match table.reason {
        IncompleteReason::NftOnly | IncompleteReason::HiddenBaseChains => format!(
            "nft -a list table {family} {name}; make what is not iptables' own anew in a table of its own (nft add table \
             {family} mine), and delete it here: nft delete rule {family} {name} CHAIN handle HANDLE, nft delete chain \
             {family} {name} CHAIN"
        ),
        _ => format!("{}, which has to end in COMMIT", table.program.display()),
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
        let rules = match rules {
            Ok(rules) => rules,
            // That of the back end in use was found to fail already.
            Err(Error::IncompleteTable(table)) if number > 0 => {
                let tool = match tools.family() {
                    iptables_restore::Family::V6 => IPV6,
                    _ => "iptables",
                };
                let found = format!("not looked for: {table}");
                let remedy = move_away(tool, table);
                checks.push(Check::no(Verdict::Warning, "leftovers", found, remedy));
                continue;
            }
            Err(_) => continue,
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
    let Ok(listed) = printed("nft", &["list", "tables"]) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&listed);
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use iptables_restore::Family;

    use super::*;

    /// In the words of iptables-nft-save 1.8.9, with a table that has a rule which only nft can express.
    #[test]
    fn a_table_that_cannot_be_read_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in [
            ("iptables", "echo 'iptables v1.8.9 (nf_tables)'"),
            (
                "iptables-save",
                "[ \"$1\" = --version ] && exec echo 'iptables-save v1.8.9 (nf_tables)'\n\
                 echo \"# Table \\`nat' is incompatible, use 'nft' tool.\"",
            ),
            (
                "iptables-restore",
                "echo 'iptables-restore v1.8.9 (nf_tables)'",
            ),
        ] {
            // Another process writes it: the file would be open, and so not to be run, in what a test beside this one starts.
            let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
            let mut shell = Command::new("sh");
            let path = folder.path().join(name);
            let written = shell.args(["-c", write]).arg(path).arg(script).status();
            assert!(written.unwrap().success());
        }
        let finder = ToolFinder::new().directories([folder.path()]);
        let tables = Tables {
            families: vec![("iptables", finder.survey(Family::V4))],
        };
        let [check] = &tables.tools(true)[..] else {
            panic!("one family");
        };
        assert_eq!(check.verdict, Verdict::Fails, "{check:?}");
        assert!(
            check.found.contains("did not print table nat whole"),
            "{check:?}"
        );
        let remedy = check.remedy.as_deref().unwrap();
        assert!(remedy.starts_with("nft -a list table ip nat;"), "{remedy}");
        assert!(
            remedy.contains("nft delete rule ip nat CHAIN handle HANDLE"),
            "{remedy}"
        );
    }
}
