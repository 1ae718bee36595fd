//! Text as `nft list ruleset` prints it.
//!
//! Held against `nft` 1.0.6. A rule with an expression that has no text here is a comment that names it.

mod act;
mod compare;
mod load;
mod rule;
mod set;
mod value;

use std::fmt;

use crate::model::{
    Chain, Flowtable, HookNumber, Name, Object, ObjectState, Rule, Ruleset, Table, TableFamily,
    TableFlags, priority, userdata,
};

/// As `nft list ruleset` prints it.
impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables
            .iter()
            .try_for_each(|table| write_table(f, self, table))
    }
}

impl Ruleset {
    /// The text of one rule, as `nft` prints it in a line, without what leads it in.
    #[must_use]
    pub fn rule_text(&self, rule: &Rule) -> String {
        let comment = userdata::find_comment(&rule.userdata, userdata::RULE_COMMENT);
        let comment = comment.map_or_else(String::new, |text| {
            format!(" comment {}", value::quoted(text.as_bytes()))
        });
        match rule::body(self, rule) {
            Ok(body) => format!("{body}{comment}"),
            Err(unknown) => format!(
                "# rule {} is not shown: no text for its expression {}",
                rule.handle.unwrap_or_default(),
                value::quoted(unknown.as_bytes())
            ),
        }
    }
}

fn write_table(f: &mut fmt::Formatter<'_>, ruleset: &Ruleset, table: &Table) -> fmt::Result {
    writeln!(f, "table {} {} {{", table.family, table.name)?;
    let flags: Vec<_> = [
        (TableFlags::DORMANT, "dormant"),
        (TableFlags::OWNER, "owner"),
        (TableFlags::PERSIST, "persist"),
    ]
    .iter()
    .filter(|(flag, _)| table.flags.contains(*flag))
    .map(|(_, word)| *word)
    .collect();
    let mut separator = "";
    if !flags.is_empty() {
        writeln!(f, "\tflags {}", flags.join(","))?;
        separator = "\n";
    }
    write_comment(f, "\t", &table.userdata)?;
    let ours = |family: TableFamily, name: &Name| family == table.family && *name == table.name;
    let mut separate =
        |f: &mut fmt::Formatter<'_>| f.write_str(std::mem::replace(&mut separator, "\n"));
    for object in ruleset
        .objects
        .iter()
        .filter(|object| ours(object.family, &object.table))
    {
        separate(f)?;
        write_object(f, object)?;
    }
    for filled in ruleset
        .sets
        .iter()
        .filter(|filled| ours(filled.set.family, &filled.set.table))
    {
        if !filled.set.flags.contains(crate::SetFlags::ANONYMOUS) {
            separate(f)?;
            set::write(f, filled)?;
        }
    }
    for flowtable in ruleset
        .flowtables
        .iter()
        .filter(|item| ours(item.family, &item.table))
    {
        separate(f)?;
        write_flowtable(f, flowtable)?;
    }
    for chain in ruleset
        .chains
        .iter()
        .filter(|chain| ours(chain.family, &chain.table))
    {
        separate(f)?;
        write_chain(f, ruleset, chain)?;
    }
    writeln!(f, "}}")
}

fn write_comment(f: &mut fmt::Formatter<'_>, indent: &str, bytes: &[u8]) -> fmt::Result {
    match userdata::find_comment(bytes, userdata::COMMENT) {
        Some(comment) => writeln!(f, "{indent}comment {}", value::quoted(comment.as_bytes())),
        None => Ok(()),
    }
}

fn write_object(f: &mut fmt::Formatter<'_>, object: &Object) -> fmt::Result {
    writeln!(f, "\t{} {} {{", object.kind, object.name)?;
    write_comment(f, "\t\t", &object.userdata)?;
    let text = match object.state() {
        Ok(Some(ObjectState::Counter(counter))) => {
            format!("packets {} bytes {}", counter.packets, counter.bytes)
        }
        Ok(Some(ObjectState::Quota(quota))) => act::quota_text(&quota),
        Ok(Some(ObjectState::Limit(limit))) => act::limit_text(&limit),
        Ok(Some(ObjectState::Connlimit(limit))) => format!("{}", limit.count),
        Ok(None) | Err(_) => "# its state is not shown".to_owned(),
    };
    writeln!(f, "\t\t{text}\n\t}}")
}

fn write_flowtable(f: &mut fmt::Formatter<'_>, flowtable: &Flowtable) -> fmt::Result {
    writeln!(f, "\tflowtable {} {{", flowtable.name)?;
    let priority = flowtable.hook.priority.unwrap_or_default();
    writeln!(
        f,
        "\t\thook ingress priority {}",
        priority_text(priority, TableFamily::INET, HookNumber::INGRESS)
    )?;
    if !flowtable.hook.devices.0.is_empty() {
        let names = flowtable
            .hook
            .devices
            .0
            .iter()
            .map(|name| value::quoted(name.as_bytes()));
        writeln!(
            f,
            "\t\tdevices = {{ {} }}",
            names.collect::<Vec<_>>().join(", ")
        )?;
    }
    writeln!(f, "\t}}")
}

fn write_chain(f: &mut fmt::Formatter<'_>, ruleset: &Ruleset, chain: &Chain) -> fmt::Result {
    writeln!(f, "\tchain {} {{", chain.name.clone().unwrap_or_default())?;
    write_comment(f, "\t\t", &chain.userdata)?;
    if let Some(hook) = &chain.hook {
        let kind = chain.chain_type.clone().unwrap_or_default();
        let number = hook.number;
        let place = number
            .in_family(chain.family)
            .map_or_else(|| number.0.to_string(), str::to_owned);
        write!(f, "\t\ttype {kind} hook {place}")?;
        // The kernel lists a single device in both places.
        let several = hook.devices.0.iter();
        let devices: Vec<_> = match &hook.device {
            Some(one) if several.len() < 2 => vec![one],
            _ => several.collect(),
        };
        match devices[..] {
            [] => {}
            [one] => write!(f, " device {}", value::quoted(one.as_bytes()))?,
            _ => {
                let names = devices.iter().map(|name| value::quoted(name.as_bytes()));
                write!(
                    f,
                    " devices = {{ {} }}",
                    names.collect::<Vec<_>>().join(", ")
                )?;
            }
        }
        let policy = chain.policy.unwrap_or(crate::VerdictCode::ACCEPT);
        let priority = priority_text(hook.priority, chain.family, hook.number);
        writeln!(f, " priority {priority}; policy {policy};")?;
    }
    for rule in ruleset.rules_of(chain) {
        writeln!(f, "\t\t{}", ruleset.rule_text(rule))?;
    }
    writeln!(f, "\t}}")
}

/// A priority by the name that is at most ten away from it. Some names are of one hook only.
fn priority_text(number: i32, family: TableFamily, hook: HookNumber) -> String {
    let names: &[(i32, &str)] = match family {
        TableFamily::NETDEV | TableFamily::ARP => &[(priority::FILTER, "filter")],
        TableFamily::BRIDGE => &[
            (-300, "dstnat"),
            (-200, "filter"),
            (100, "out"),
            (300, "srcnat"),
        ],
        _ => &[
            (priority::RAW, "raw"),
            (priority::MANGLE, "mangle"),
            (priority::DSTNAT, "dstnat"),
            (priority::FILTER, "filter"),
            (priority::SECURITY, "security"),
            (priority::SRCNAT, "srcnat"),
        ],
    };
    for (named, name) in names {
        let elsewhere = match *name {
            "dstnat" => hook != HookNumber::PREROUTING,
            "srcnat" => hook != HookNumber::POSTROUTING,
            "out" => hook != HookNumber::OUTPUT,
            _ => false,
        };
        if elsewhere {
            continue;
        }
        match number.checked_sub(*named) {
            Some(0) => return (*name).to_owned(),
            Some(more @ 1..=10) => return format!("{name} + {more}"),
            Some(less @ -10..=-1) => return format!("{name} - {}", -less),
            _ => {}
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests;
