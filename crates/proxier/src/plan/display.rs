//! Plans as text.

use std::collections::HashSet;
use std::fmt;

use ipset_netlink::SaveLine as SetLine;
use iptables_restore::Edit;
use ipvs_netlink::SaveLine as ServerLine;

use super::{Operation, Plan, RulesChange};
use crate::cluster::Family;
use crate::cluster::LINK;

/// What becomes of the thing that a [`Line`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// It is added.
    Add,
    /// It is removed.
    Remove,
    /// It is changed in place.
    Change,
}

impl Sign {
    /// `+`, `-` or `~`.
    #[must_use]
    pub const fn as_char(self) -> char {
        match self {
            Self::Add => '+',
            Self::Remove => '-',
            Self::Change => '~',
        }
    }
}

/// One line of a plan that is shown as a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// What becomes of it.
    pub sign: Sign,
    /// By what tool one would do it: `ipvs`, `ipset`, `iptables`, `ip6tables`, `address`, `link`, `sysctl`,
    /// `nft`, `rule`, `route`.
    pub subject: &'static str,
    /// What it is, as that tool writes it.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:<9} {}",
            self.sign.as_char(),
            self.subject,
            self.text
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.iter().flat_map(|(_, operation)| operation.lines()) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, line) in self.lines().iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            line.fmt(f)?;
        }
        Ok(())
    }
}

impl Operation {
    /// What it is in a line, where the whole would be too long.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::RestoreRules(change) => {
                let tables = change
                    .input
                    .tables()
                    .iter()
                    .map(|table| table.name().to_string());
                format!(
                    "{} rules of table {}",
                    change.subject(),
                    tables.collect::<Vec<_>>().join(", ")
                )
            }
            Self::WriteTable(write) => write.summary(),
            Self::AddTablePart(part) => format!("add {}", part.summary()),
            Self::DeleteTablePart(part) => format!("delete {}", part.summary()),
            other => other.to_string(),
        }
    }

    /// What it adds, removes and changes. Only a change of rules has more than one line; one that merely
    /// puts rules into another order has none.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let one = |sign, subject, text: String| {
            vec![Line {
                sign,
                subject,
                text,
            }]
        };
        match self {
            Self::SetSysctl { sysctl, value, was } => {
                let was = was.map(|was| format!(" (was {was})")).unwrap_or_default();
                one(Sign::Change, "sysctl", format!("{sysctl} = {value}{was}"))
            }
            Self::SetTimeouts(timeouts) => {
                let ipvs_netlink::Timeouts { tcp, tcp_fin, udp } = timeouts;
                one(Sign::Change, "ipvs", format!("--set {tcp} {tcp_fin} {udp}"))
            }
            Self::CreateLink => one(Sign::Add, "link", format!("{LINK} type dummy")),
            Self::DeleteLink => one(Sign::Remove, "link", LINK.to_owned()),
            Self::CreateSet(spec) => one(Sign::Add, "ipset", spec.to_string()),
            Self::AddEntry { set, entry } => {
                let line = SetLine::Add {
                    set: *set,
                    entry: entry.clone(),
                };
                one(Sign::Add, "ipset", line.to_string())
            }
            Self::DeleteEntry { set, entry } => {
                one(Sign::Remove, "ipset", format!("del {set} {entry}"))
            }
            Self::SwapSets { set, with } => {
                one(Sign::Change, "ipset", format!("swap {with} {set}"))
            }
            Self::DestroySet(set) => one(Sign::Remove, "ipset", format!("destroy {set}")),
            Self::RestoreRules(change) => change.lines(),
            Self::AddServer { id, config } => {
                let line = ServerLine::AddService {
                    id: *id,
                    config: *config,
                };
                one(Sign::Add, "ipvs", line.to_string())
            }
            Self::SetServer { id, config, .. } => {
                let line = ServerLine::AddService {
                    id: *id,
                    config: *config,
                }
                .to_string();
                one(Sign::Change, "ipvs", line.replacen("-A", "-E", 1))
            }
            Self::DeleteServer(id) => one(Sign::Remove, "ipvs", format!("-D {id}")),
            Self::AddDestination {
                server,
                destination,
            } => {
                let line = ServerLine::AddDestination {
                    service: *server,
                    destination: *destination,
                };
                one(Sign::Add, "ipvs", line.to_string())
            }
            Self::SetDestination {
                server,
                destination,
                was,
            } => {
                let line = ServerLine::AddDestination {
                    service: *server,
                    destination: *destination,
                };
                let line = line.to_string().replacen("-a", "-e", 1);
                one(Sign::Change, "ipvs", format!("{line} (was -w {was})"))
            }
            Self::DeleteDestination { server, id } => {
                one(Sign::Remove, "ipvs", format!("-d {server} -r {id}"))
            }
            Self::BindAddress(address) => {
                one(Sign::Add, "address", format!("{address} dev {LINK}"))
            }
            Self::UnbindAddress(address) => {
                one(Sign::Remove, "address", format!("{address} dev {LINK}"))
            }
            Self::WriteTable(_)
            | Self::DeleteTable(_)
            | Self::AddTablePart(_)
            | Self::DeleteTablePart(_)
            | Self::AddElement { .. }
            | Self::ChangeElement { .. }
            | Self::DeleteElement { .. }
            | Self::AddRoutingRule(_)
            | Self::DeleteRoutingRule(_)
            | Self::AddRoute(_)
            | Self::DeleteRoute(_) => self.nftables_lines(),
        }
    }
}

impl RulesChange {
    fn subject(&self) -> &'static str {
        match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        }
    }

    /// The chains and rules that come, and those that go: a chain that is written anew shows only the
    /// difference.
    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for table in self.input.tables() {
            let name = table.name();
            let mut line = |sign, text: String| {
                let text = format!("-t {name} {text}");
                lines.push(Line {
                    sign,
                    subject: self.subject(),
                    text,
                });
            };
            let known: HashSet<_> = self.before.iter().map(|chain| &chain.name).collect();
            let before: HashSet<_> = self
                .before
                .iter()
                .flat_map(|chain| chain.rules.iter().map(|rule| (&chain.name, rule)))
                .collect();
            let after: HashSet<_> = table
                .edits()
                .iter()
                .filter_map(|edit| match edit {
                    Edit::Append { chain, rule } => Some((chain, rule)),
                    _ => None,
                })
                .collect();
            for chain in &self.before {
                for rule in chain
                    .rules
                    .iter()
                    .filter(|rule| !after.contains(&(&chain.name, *rule)))
                {
                    line(Sign::Remove, rule.display_in(&chain.name).to_string());
                }
            }
            for edit in table.edits() {
                match edit {
                    Edit::DeclareChain { chain } if !known.contains(chain) => {
                        line(Sign::Add, format!("-N {chain}"));
                    }
                    Edit::Append { chain, rule } if before.contains(&(chain, rule)) => {}
                    Edit::Append { .. } | Edit::Insert { .. } => line(Sign::Add, edit.to_string()),
                    Edit::Delete { chain, rule } => {
                        line(Sign::Remove, rule.display_in(chain).to_string());
                    }
                    Edit::DeleteChain { chain } => line(Sign::Remove, format!("-X {chain}")),
                    Edit::DeclareChain { .. } => {}
                    _ => line(Sign::Change, edit.to_string()),
                }
            }
        }
        lines
    }
}
