//! Plans and states for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use iptables_restore::Ruleset;
use ipvs_netlink::listing::{Listing, Row};
use ipvs_netlink::{Info, Version};
use proxier::cluster::Family;
use proxier::nftables::Routing;
use proxier::{LINK, Observed, Plan, Sign};

use proxier_manifest::Snapshot;

use super::trace::Trace;

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

fn style(sign: Sign) -> Style {
    let color = match sign {
        Sign::Add => AnsiColor::Green,
        Sign::Remove => AnsiColor::Red,
        Sign::Change => AnsiColor::Yellow,
    };
    color.on_default()
}

/// A plan as a diff, each line with the Service that it is for, and how much it is. What goes was for a Service of the
/// step before.
pub(crate) fn plan(
    name: &str,
    plan: &Plan,
    (trace, before): (&Trace, &Trace),
    out: &mut impl Write,
) -> io::Result<()> {
    let mut lines = Vec::new();
    for (_, operation) in plan.iter() {
        for line in operation.lines() {
            let services = trace.services(operation, &line);
            let services = services.or_else(|| before.services(operation, &line));
            lines.push((line, services));
        }
    }
    let count = |sign| lines.iter().filter(|(line, _)| line.sign == sign).count();
    let (added, changed, removed) = (count(Sign::Add), count(Sign::Change), count(Sign::Remove));
    writeln!(out, "{HEADING}{name}{HEADING:#}")?;
    for (line, services) in &lines {
        let style = style(line.sign);
        write!(out, "{style}{line}{style:#}")?;
        match services {
            Some(services) => writeln!(out, "  {FAINT}# {services}{FAINT:#}")?,
            None => writeln!(out)?,
        }
    }
    if plan.is_empty() {
        writeln!(out, "Plan: nothing to do.\n")
    } else {
        let steps = plan.len();
        writeln!(
            out,
            "Plan: {steps} steps: {added} to add, {changed} to change, {removed} to remove.\n"
        )
    }
}

/// A state as its tools would show it.
pub(crate) fn state(state: &Observed, out: &mut impl Write) -> io::Result<()> {
    servers(state, out)?;
    let has_tables = Family::ALL
        .into_iter()
        .any(|family| state.tables.get(family).is_some());
    if has_tables || state.routing != Routing::default() {
        tables(state, out)?;
    }
    // What the nftables layout has none of, and leaves none of.
    if !has_tables || state.addresses.is_some() {
        addresses(state, out)?;
    }
    if !has_tables || !state.sets.is_empty() {
        sets(state, out)?;
    }
    rules("iptables", &state.rules.v4, out)?;
    rules("ip6tables", &state.rules.v6, out)
}

fn servers(state: &Observed, out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = state
        .servers
        .iter()
        .map(|server| Row {
            id: server.id,
            config: server.config,
            destinations: server
                .destinations
                .iter()
                .map(|d| (d.destination, d.connections))
                .collect(),
        })
        .collect();
    // As a current kernel reports it.
    let info = Info::new(Version(0x01_02_01), 4096);
    writeln!(
        out,
        "{HEADING}Virtual servers{HEADING:#} {FAINT}(ipvsadm -Ln){FAINT:#}"
    )?;
    writeln!(out, "{}", Listing::new(info, &rows))
}

/// The proxy's tables of nf_tables, and routing by mark.
fn tables(state: &Observed, out: &mut impl Write) -> io::Result<()> {
    let Snapshot {
        nft, rules, routes, ..
    } = Snapshot::of(state);
    for (heading, command, lines) in [
        ("Tables", "nft list ruleset", nft),
        ("Routing rules", "ip rule", rules),
        ("Local routes", "ip route show table all", routes),
    ] {
        writeln!(
            out,
            "{HEADING}{heading}{HEADING:#} {FAINT}({command}){FAINT:#}"
        )?;
        for line in lines {
            writeln!(out, "  {line}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn addresses(state: &Observed, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{HEADING}Addresses{HEADING:#} {FAINT}(ip address show {LINK}){FAINT:#}"
    )?;
    match &state.addresses {
        None => writeln!(out, "  the link {LINK} is missing")?,
        Some(addresses) => {
            for address in addresses {
                writeln!(out, "  {address}")?;
            }
        }
    }
    writeln!(out)
}

fn sets(state: &Observed, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{HEADING}Sets{HEADING:#} {FAINT}(ipset list){FAINT:#}")?;
    let (filled, empty): (Vec<_>, Vec<_>) =
        state.sets.values().partition(|set| !set.entries.is_empty());
    for set in filled {
        writeln!(
            out,
            "  {} {FAINT}{}{FAINT:#}",
            set.spec.name, set.spec.set_type
        )?;
        for entry in &set.entries {
            writeln!(out, "    {entry}")?;
        }
    }
    if !empty.is_empty() {
        let names: Vec<_> = empty.iter().map(|set| set.spec.name.to_string()).collect();
        writeln!(out, "  {FAINT}empty: {}{FAINT:#}", names.join(" "))?;
    }
    writeln!(out)
}

fn rules(tool: &str, rules: &Ruleset, out: &mut impl Write) -> io::Result<()> {
    for table in &rules.tables {
        writeln!(out, "{HEADING}Rules of {tool} -t {}{HEADING:#}", table.name)?;
        let mut empty = Vec::new();
        for chain in &table.chains {
            if chain.rules.is_empty() {
                empty.push(chain.name.as_str());
                continue;
            }
            match &chain.policy {
                Some(policy) => writeln!(out, "  {} {FAINT}policy {policy}{FAINT:#}", chain.name)?,
                None => writeln!(out, "  {}", chain.name)?,
            }
            for rule in &chain.rules {
                writeln!(out, "    {rule}")?;
            }
        }
        if !empty.is_empty() {
            writeln!(out, "  {FAINT}empty: {}{FAINT:#}", empty.join(" "))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
