//! Ensures a dummy link with addresses on it, as service proxies bind virtual addresses, and lists which
//! link of the node has which address.
//!
//! Listing needs nothing; changing needs root.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Parser;
use dummy_link::{Client, LinkName, host_address};
use ipnetwork::IpNetwork;

/// Ensure a dummy link with addresses, and list all addresses of the node by link.
///
/// Exit status: 0; 1 if an address could not be added, and the others were; 2 if something else is wrong.
#[derive(Parser)]
#[command(name = "dummy-links", version, max_term_width = 100)]
struct Args {
    /// The link to make where it is missing; without it nothing is changed.
    #[arg(value_parser = LinkName::new)]
    link: Option<LinkName>,

    /// Addresses that it shall have, alone or with a prefix length.
    #[arg(value_parser = address)]
    addresses: Vec<IpNetwork>,

    /// Delete the link instead, and with it its addresses.
    #[arg(long, requires = "link", conflicts_with = "addresses")]
    delete: bool,
}

fn address(text: &str) -> Result<IpNetwork, String> {
    let alone = text.parse::<IpAddr>().map(host_address);
    alone.or_else(|_| {
        text.parse()
            .map_err(|_| "is not an address such as 10.96.0.1 or fd00::1/64".to_owned())
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("dummy-links", |out| {
        let mut client = Client::open()?;
        let mut status = ExitCode::SUCCESS;
        if let Some(link) = args.link {
            let effect = match args.delete {
                true => client.delete(link)?,
                false => client.ensure(link)?,
            };
            writeln!(out, "{link}: {effect:?}")?;
        }
        if let (Some(link), false) = (args.link, args.addresses.is_empty()) {
            // All of them in one system call, each with a result of its own.
            let results = client.add_addresses(link, &args.addresses)?;
            for (address, result) in args.addresses.iter().zip(results) {
                match result {
                    Ok(effect) => writeln!(out, "{link} {address}: {effect:?}")?,
                    Err(error) => {
                        status = ExitCode::from(1);
                        writeln!(out, "{link} {address}: {error}")?;
                    }
                }
            }
        }
        for (link, addresses) in client.node_links()?.iter() {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            writeln!(out, "{link:<15} {}", addresses.join(" "))?;
        }
        Ok(status)
    })
}
