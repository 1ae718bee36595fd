//! The async clients together, on one thread of a tokio runtime: a virtual server with its destinations
//! (IPVS), its address on a dummy link, the same address and port in a set (ipset) and in a map (nf_tables)
//! for rules to match. Then it watches until the link loses the address.
//!
//! All four are programmed side by side. What this kernel lacks is reported and left out. Needs root.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use dummy_link::{LinkName, Removal, host_address};
use ipset_netlink::{Entry, SetName, SetSpec, SetType};
use ipvs_netlink::{
    Destination, DestinationConfig, Family, Protocol, Request, Scheduler, VirtualServerConfig,
    VirtualServerId,
};
use nftables_netlink::message::Transaction;
use nftables_netlink::{DataType, Element, Elements, Event, Name, Set, Table};

/// Program a virtual server, an address, a set and a map on tokio, and watch the address.
///
/// Exit status: 0; 2 if something cannot be programmed, or the command line is wrong.
#[derive(Parser)]
#[command(name = "tokio-together", version, max_term_width = 100)]
struct Args {
    /// The IPv4 address and port of the virtual server.
    server: SocketAddr,
    /// Addresses and ports of its destinations.
    #[arg(required = true)]
    destinations: Vec<SocketAddr>,
    /// Do not wait until the address is gone.
    #[arg(long)]
    once: bool,
}

/// What the map has for the virtual server.
const MARK: u32 = 0x2000;

type Done = Result<String, Box<dyn Error>>;

fn main() -> ExitCode {
    let args = Args::parse();
    examples_tokio::run("tokio-together", async |out| run(&args, out).await)
}

async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let link: LinkName = "lb0".parse()?;
    // Opened before anything is made, so that nothing is missed.
    let mut links = dummy_link::AsyncMonitor::open()?.watching(link);
    let (server, address, set, map) = tokio::try_join!(
        virtual_server(args.server, &args.destinations),
        address(link, args.server),
        set(args.server),
        map(args.server),
    )?;
    for done in [server, address, set, map] {
        writeln!(out, "{done}")?;
    }
    out.flush()?;
    if args.once {
        return Ok(());
    }
    loop {
        let changes = links.next().await?;
        let lost = |removal: &Removal| matches!(removal, Removal::Address { address, .. } if address.ip() == args.server.ip());
        if changes.removed.iter().any(lost) {
            writeln!(out, "{link} lost {}", args.server.ip())?;
            return Ok(());
        }
    }
}

async fn virtual_server(server: SocketAddr, destinations: &[SocketAddr]) -> Done {
    let mut client = match ipvs_netlink::AsyncClient::open().await {
        Err(ipvs_netlink::Error::NotLoaded) => return Ok("no IPVS in this kernel".to_owned()),
        opened => opened?,
    };
    let id = VirtualServerId::tcp(server);
    let config = VirtualServerConfig::new(Scheduler::RR);
    let mut requests = vec![Request::NewService { id, config }];
    requests.extend(destinations.iter().map(|destination| {
        let (id, config) = ((*destination).into(), DestinationConfig::masquerade(1));
        let destination = Destination { id, config };
        Request::NewDestination {
            service: VirtualServerId::tcp(server),
            destination,
        }
    }));
    client.apply(&requests).await.into_result()?;
    let made = client.destinations(id).await?;
    Ok(format!("{id:#}: {} destinations", made.len()))
}

async fn address(link: LinkName, server: SocketAddr) -> Done {
    let mut client = dummy_link::AsyncClient::open()?;
    client.ensure(link).await?;
    for outcome in client
        .add_addresses(link, &[host_address(server.ip())])
        .await?
    {
        outcome?;
    }
    let bound = client.addresses(link).await?;
    Ok(format!("{link}: {} addresses", bound.len()))
}

async fn set(server: SocketAddr) -> Done {
    let mut client = match ipset_netlink::AsyncClient::open().await {
        Err(ipset_netlink::Error::NoIpset) => return Ok("no ipset in this kernel".to_owned()),
        opened => opened?,
    };
    let spec = SetSpec::hash(SetName::new("lb")?, SetType::HASH_IP_PORT, Family::V4);
    let entry = Entry::ip_port(server.ip(), Protocol::TCP, server.port());
    client.replace(&spec, &[entry]).await?;
    let listed = client.list(spec.name).await?;
    Ok(format!(
        "set {}: {} entries",
        spec.name,
        listed.set.entries.len()
    ))
}

/// A map from address and port to a mark. The monitor receives the change that the client makes.
async fn map(server: SocketAddr) -> Done {
    let lacking = || Ok("no nf_tables for IPv4 in this kernel".to_owned());
    let mut client = nftables_netlink::AsyncClient::open()?;
    let before = match client.generation().await {
        Err(nftables_netlink::Error::NoNftables) => return lacking(),
        generation => generation?,
    };
    let mut changes = nftables_netlink::AsyncMonitor::open()?;

    let [table, name] = ["lb", "servers"].map(Name::new);
    let (table, name) = (table?, name?);
    let std::net::IpAddr::V4(ip) = server.ip() else {
        return Ok("no map for an IPv6 address".to_owned());
    };
    let key = [DataType::IPV4_ADDR, DataType::INET_SERVICE];
    let element = Element::new(&[&ip.octets(), &server.port().to_be_bytes()]);
    let element = element.to_value(&MARK.to_ne_bytes());
    let servers = Set::new(Family::V4, table.clone(), name.clone(), &key).map_to(DataType::MARK);
    let mut transaction = Transaction::new();
    transaction
        .add(Table::new(Family::V4, table.clone()))
        .add(servers)
        .add(Elements::new(Family::V4, table.clone(), name, [element]));
    match client.apply(&transaction.at_generation(before)).await {
        // Without the module nf_tables_ipv4.
        Err(nftables_netlink::Error::Refused { reason, .. })
            if reason.code == netlink_batch::errno::EOPNOTSUPP =>
        {
            return lacking();
        }
        applied => applied?,
    }
    loop {
        match changes.next().await? {
            Event::Changed(changes) if changes.port == client.port() => {
                return Ok(format!("table {table}: {} changes", changes.changes.len()));
            }
            Event::Lost => return Err(io::Error::other("the change was not reported").into()),
            _ => {}
        }
    }
}
