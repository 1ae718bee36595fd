//! Makes a set hold exactly the entries of a file: a second set is filled, swapped with the one in use and
//! destroyed, so that no packet meets it half full. A mistake anywhere in the file changes nothing.
//!
//! Needs root and a kernel with ipset.

use std::error::Error;
use std::fs;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use ipset_netlink::{Client, Entry, SetSpec};

/// Make a set hold exactly the entries of a file, at one blow.
///
/// Exit status: 0; 2 if something is wrong, and then the set is as it was.
#[derive(Parser)]
#[command(name = "ipset-swap", version, max_term_width = 100)]
struct Args {
    /// The set, as `ipset create` takes it: "web hash:ip,port family inet timeout 60".
    #[arg(value_name = "NAME TYPE OPTION…", value_parser = spec)]
    set: SetSpec,

    /// Its entries, one to a line, as `ipset add` takes them; `#` starts a comment; `-` is stdin.
    #[arg(value_name = "FILE")]
    entries: String,

    /// Check everything, but change nothing.
    #[arg(long)]
    dry_run: bool,
}

fn spec(text: &str) -> Result<SetSpec, ipset_netlink::Error> {
    SetSpec::parse(&format!("create {text}"))
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("ipset-swap", |out| {
        let text = match args.entries.as_str() {
            "-" => io::read_to_string(io::stdin()),
            path => fs::read_to_string(path),
        };
        let text = text.map_err(|error| format!("{}: {error}", args.entries))?;
        let entries = read(&args.set, &args.entries, &text)?;
        if !args.dry_run {
            Client::open()?.replace(&args.set, &entries)?;
        }
        writeln!(out, "{}: {} entries", args.set.name, entries.len())?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The entries, all of which the set can hold.
fn read(spec: &SetSpec, file: &str, text: &str) -> Result<Vec<Entry>, Box<dyn Error>> {
    let mut entries = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let entry = spec
            .parse_entry(line)
            .and_then(|entry| spec.check(&entry).map(|()| entry))
            .map_err(|error| format!("{file}:{number}: {error}"))?;
        entries.push(entry);
    }
    // The kernel takes an entry twice for a mistake.
    entries.sort();
    entries.dedup();
    Ok(entries)
}
