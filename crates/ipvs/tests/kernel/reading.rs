//! Reading whole tables.

use ipvs_netlink::client::Reason;
use ipvs_netlink::listing::{Listing, Row};
use ipvs_netlink::{
    Destination, DestinationConfig, DestinationId, Error, Protocol, Request, Scheduler,
    VirtualServerConfig, VirtualServerId,
};
use kernel_test::{cmd, cmd_input};

use crate::Client;
use crate::client;

/// A listing of the kernel's table, as it is now.
fn listing(client: &mut Client) -> String {
    let info = client.info().unwrap();
    let rows = client.map_table(|entry| Row::from(&entry)).unwrap();
    Listing::new(info, &rows).to_string()
}

pub fn the_listing_is_that_of_ipvsadm() {
    let lines = include_str!("../../src/text/testdata/save.txt");
    // Two services that ipvsadm prints wrong, and so cannot restore.
    let kept = lines
        .lines()
        .filter(|line| !line.contains("-f -") && !line.ends_with("-b "));
    // In pools of both families ipvsadm sorts by the first bytes of the address.
    let kept: Vec<_> = kept.filter(|line| !line.contains("80 -r [")).collect();
    cmd_input("ipvsadm -R", &kept.join("\n"));
    assert_eq!(listing(&mut client()), cmd("ipvsadm -Ln"));
}

fn http(third: u8, fourth: u8) -> VirtualServerId {
    let address = [10, 0, third, fourth].into();
    VirtualServerId::Address {
        protocol: Protocol::TCP,
        address,
        port: 80,
    }
}

fn new_service(id: VirtualServerId) -> Request {
    let config = VirtualServerConfig::new(Scheduler::RR);
    Request::NewService { id, config }
}

fn new_destination(service: VirtualServerId, third: u8, fourth: u8) -> Request {
    let id = DestinationId {
        address: [10, 1, third, fourth].into(),
        port: 8080,
    };
    let destination = Destination {
        id,
        config: DestinationConfig::masquerade(1),
    };
    Request::NewDestination {
        service,
        destination,
    }
}

/// 1,000 services and one with 1,000 destinations: dumps of many datagrams.
pub fn large_tables_come_whole() {
    let mut client = client();
    let hosts = || (0..4).flat_map(|third| (0..250).map(move |fourth| (third, fourth)));
    let mut requests: Vec<_> = hosts().map(|(c, d)| new_service(http(c, d))).collect();
    requests.extend(hosts().map(|(c, d)| new_destination(http(0, 0), c, d)));
    client.apply(&requests).into_result().unwrap();

    let services: Vec<_> = client
        .services()
        .unwrap()
        .into_iter()
        .map(|server| server.id)
        .collect();
    assert_eq!(
        services,
        hosts().map(|(c, d)| http(c, d)).collect::<Vec<_>>()
    );
    let table = client.table().unwrap();
    assert_eq!(table.len(), 1000);
    assert_eq!(table[0].destinations.len(), 1000);
    assert!(table[1..].iter().all(|entry| entry.destinations.is_empty()));
    assert!(
        table[0]
            .destinations
            .is_sorted_by_key(|status| status.destination.id)
    );
    assert_eq!(listing(&mut client), cmd("ipvsadm -Ln"));
}

/// The kernel's answer is the same to both.
pub fn no_destinations_and_no_service_are_told_apart() {
    let mut client = client();
    client.request(&new_service(http(0, 1))).unwrap();
    assert_eq!(client.destinations(http(0, 1)), Ok(vec![]));
    match client.destinations(http(0, 2)) {
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.reason(), Reason::NoSuchService);
            let request = Request::GetDestinations {
                service: http(0, 2),
            };
            assert_eq!(refusal.request, request);
        }
        other => panic!("{other:?}"),
    }
}

pub fn a_table_that_changes_meanwhile_is_read() {
    let mut client = client();
    let stay: Vec<_> = (0..200).map(|d| new_service(http(0, d))).collect();
    client.apply(&stay).into_result().unwrap();
    let changer = std::thread::spawn(|| {
        let mut client = crate::open().unwrap();
        let add: Vec<_> = (0..200).map(|d| new_service(http(1, d))).collect();
        let delete: Vec<_> = (0..200)
            .map(|d| Request::DeleteService { id: http(1, d) })
            .collect();
        for _ in 0..20 {
            client.apply(&add).into_result().unwrap();
            client.apply(&delete).into_result().unwrap();
        }
    });
    while !changer.is_finished() {
        let services = client.services().unwrap();
        assert!(services.is_sorted_by(|a, b| a.id < b.id), "one came twice");
        client.table().unwrap();
    }
    changer.join().unwrap();
    assert_eq!(client.services().unwrap().len(), 200);
}
