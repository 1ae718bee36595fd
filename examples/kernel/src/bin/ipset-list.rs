//! Lists sets as `ipset list` or `ipset save` does, without the `ipset` binary.
//!
//! Needs root and a kernel with ipset.

use std::process::ExitCode;

use clap::Parser;
use ipset_netlink::client::Listed;
use ipset_netlink::{Client, Listing, SetName};

/// List the sets of this network namespace.
///
/// Exit status: 0; 2 if they cannot be read, or the command line is wrong.
#[derive(Parser)]
#[command(name = "ipset-list", version, max_term_width = 100)]
struct Args {
    /// This set only.
    #[arg(value_parser = SetName::new)]
    set: Option<SetName>,

    /// Show their names only.
    #[arg(long, conflicts_with_all = ["set", "save"])]
    names: bool,

    /// Show them as `ipset restore` reads them.
    #[arg(long)]
    save: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("ipset-list", |out| {
        let mut client = Client::open()?;
        if args.names {
            for name in client.names()? {
                writeln!(out, "{name}")?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let sets = match args.set {
            Some(set) => vec![client.list(set)?],
            None => client.list_all()?,
        };
        for (place, listed) in sets.iter().enumerate() {
            if args.save {
                out.write_all(&listed.set.to_bytes())?;
            } else {
                let between = if place == 0 { "" } else { "\n" };
                write!(out, "{between}{}", listing(listed))?;
            }
            for error in &listed.unreadable {
                writeln!(out, "# an entry that cannot be shown: {error}")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn listing(listed: &Listed) -> Listing<'_> {
    let mut listing = Listing::new(&listed.set);
    listing.revision = Some(listed.info.revision);
    listing.memory_size = listed.info.usage.memory_size;
    listing.references = listed.info.usage.references;
    listing
}
