//! Lists virtual servers and their destinations as `ipvsadm -Ln` does: the client of `ipvs-netlink` reads
//! the table, its `listing` prints it.
//!
//! Needs root and a kernel with IPVS.

use std::process::ExitCode;

use clap::Parser;
use ipvs_netlink::Client;
use ipvs_netlink::listing::{Counted, CounterListing, Listing, Row};

/// List the virtual servers of this network namespace and their destinations.
///
/// Exit status: 0; 2 if they cannot be read, or the command line is wrong.
#[derive(Parser)]
#[command(name = "ipvs-list", version, max_term_width = 100)]
struct Args {
    /// Show what was counted, as `ipvsadm -Ln --stats`.
    #[arg(long, conflicts_with = "rate")]
    stats: bool,

    /// Show rates per second, as `ipvsadm -Ln --rate`.
    #[arg(long)]
    rate: bool,

    /// Do not shorten numbers.
    #[arg(long)]
    exact: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("ipvs-list", |out| {
        let mut client = Client::open()?;
        let (info, table) = (client.info()?, client.table()?);
        let counted = match (args.stats, args.rate) {
            (true, _) => Some(Counted::Totals),
            (_, true) => Some(Counted::Rates),
            _ => None,
        };
        match counted {
            Some(counted) => {
                let listing = CounterListing::new(info, &table, counted);
                let listing = if args.exact { listing.exact() } else { listing };
                write!(out, "{listing}")?;
            }
            None => {
                let rows: Vec<Row> = table.iter().map(Row::from).collect();
                write!(out, "{}", Listing::new(info, &rows))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
