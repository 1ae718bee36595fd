//! Shows what would change if the chains of one file were written with `iptables-restore --noflush`: reads
//! rules as `iptables-save` prints them, makes the edits, and tries them on the model of what is there.
//!
//! Reading the kernel's rules needs root; comparing two files needs nothing. Nothing is ever changed.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use iptables_restore::{
    Chain, Edit, Family, RestoreInput, Ruleset, SaveOptions, Table, ToolFinder,
};

/// Show what writing some chains would change.
///
/// Chains and tables that WANTED does not name are left out. Exit status, as of diff: 0, nothing would
/// change; 1, something would; 2, something is wrong: an edit that the kernel would refuse, among others.
#[derive(Parser)]
#[command(name = "iptables-diff", version, max_term_width = 100)]
struct Args {
    /// The chains as they should be, in the format of `iptables-save`.
    wanted: String,

    /// The rules there are, in the same format [default: the kernel's].
    found: Option<String>,

    /// The IPv6 rules of the kernel, not the IPv4 ones.
    #[arg(short = '6', long, conflicts_with = "found")]
    ipv6: bool,

    /// Show the text for `iptables-restore --noflush` in place of the difference.
    #[arg(long)]
    restore: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("iptables-diff", |out| {
        let wanted = read(&args.wanted)?;
        let family = if args.ipv6 { Family::V6 } else { Family::V4 };
        let found = match &args.found {
            Some(file) => read(file)?,
            None => ToolFinder::new()
                .find(family)?
                .save(&SaveOptions::default())?,
        };
        let input = edits(&found, &wanted)?;
        let mut after = found.clone();
        input.apply(&mut after)?;
        if args.restore {
            write!(out, "{input}")?;
        } else {
            difference(&found, &after, out)?;
        }
        Ok(ExitCode::from(u8::from(!input.is_empty())))
    })
}

fn read(file: &str) -> Result<Ruleset, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ruleset::parse(&text).map_err(|error| format!("{file}: {error}"))
}

fn edits(found: &Ruleset, wanted: &Ruleset) -> Result<RestoreInput, Box<dyn Error>> {
    let mut input = RestoreInput::new();
    for table in &wanted.tables {
        let differs = |chain: &&Chain| counterpart(found, table, chain) != Some(*chain);
        let edits = input.table(table.name.clone());
        // All chains first: rules may jump to any of them.
        for Chain { name, policy, .. } in table.chains.iter().filter(differs) {
            match policy {
                Some(policy) => {
                    edits.set_policy(name, policy.clone())?.flush(name)?;
                }
                None => _ = edits.declare_chain(name)?,
            }
        }
        for chain in table.chains.iter().filter(differs) {
            for rule in &chain.rules {
                let (chain, rule) = (chain.name.clone(), rule.clone());
                edits.push(Edit::Append { chain, rule })?;
            }
        }
    }
    Ok(input)
}

fn counterpart<'a>(rules: &'a Ruleset, table: &Table, chain: &Chain) -> Option<&'a Chain> {
    rules.table(&table.name)?.chain(chain.name.as_str())
}

fn difference(found: &Ruleset, after: &Ruleset, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for table in &after.tables {
        for chain in &table.chains {
            let before = counterpart(found, table, chain);
            if before == Some(chain) {
                continue;
            }
            let (old, new) = (before.map_or(Vec::new(), lines), lines(chain));
            writeln!(out, "*{} {}", table.name, chain.name)?;
            // What stays, but elsewhere, shows on both sides.
            let same = old
                .iter()
                .zip(&new)
                .take_while(|(old, new)| old == new)
                .count();
            for (sign, lines) in [('-', &old), ('+', &new)] {
                for line in lines.iter().skip(same) {
                    writeln!(out, "{sign} {line}")?;
                }
            }
        }
    }
    Ok(())
}

fn lines(chain: &Chain) -> Vec<String> {
    let policy = chain.policy.as_ref().map_or("-", |policy| policy.as_str());
    let head = format!(":{} {policy}", chain.name);
    let rules = chain
        .rules
        .iter()
        .map(|rule| rule.display_in(&chain.name).to_string());
    std::iter::once(head).chain(rules).collect()
}
