//! Zones.

use conntrack_netlink::{Error, Family, Filter, FlowKey};
use kernel_test::{cmd, try_cmd};
use netlink_batch::errno;

use crate::{make_flows, open, ours, theirs};

/// A flow in a zone that this kernel cannot have is refused, not taken for one in the default zone.
pub(crate) fn a_kernel_without_zones() {
    assert!(try_cmd("conntrack -I -w 7 -p 50 -s 10.0.0.1 -d 10.0.0.2 -t 300").is_err());
    let tuples = make_flows(3);
    let mut client = open().unwrap();
    let mut keys: Vec<FlowKey> = tuples.iter().map(|tuple| (*tuple).into()).collect();
    keys[0].zone = 7;
    keys[2].zone = 9;
    match client.delete(&keys).unwrap_err() {
        Error::NotDeleted {
            flow,
            others,
            reason,
        } => {
            assert_eq!((*flow, others), (keys[0], 1));
            assert_eq!(reason.code(), Some(errno::EOPNOTSUPP));
        }
        error => panic!("{error}"),
    }
    assert_eq!(theirs(Family::V4).len(), 2, "the other is gone");
}

pub(crate) fn zones_of_this_kernel() {
    let line = "-I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 10000 --dport 53 -t 300";
    let mut client = open().unwrap();
    if try_cmd("conntrack -L").is_err() {
        assert_eq!(client.flows(Family::V4), Err(Error::NoConntrack));
        return;
    }
    if try_cmd(&format!("conntrack {line} -w 7")).is_err() {
        return a_kernel_without_zones();
    }
    cmd(&format!("conntrack {line} 2>/dev/null"));
    // The way back has no zone of its own, so that it must differ otherwise.
    cmd(&format!(
        "conntrack {line} --orig-zone 9 -r 10.244.1.5 -q 10.0.0.1 \
         --reply-port-src 53 --reply-port-dst 10000 2>/dev/null"
    ));
    let flows = client.flows(Family::V4).unwrap();
    let mut zones: Vec<_> = flows
        .iter()
        .map(|flow| (flow.zone, flow.original.zone))
        .collect();
    zones.sort_unstable();
    assert_eq!(zones, [(0, None), (0, Some(9)), (7, None)]);
    assert_eq!(ours(&mut client, Family::V4), theirs(Family::V4));
    for flow in &flows {
        assert_eq!(client.delete(&[flow.key()]), Ok(1), "{flow}");
        let left = client.flows(Family::V4).unwrap();
        assert!(!left.contains(flow));
    }
    assert_eq!(theirs(Family::V4), [""; 0]);
}

pub(crate) fn filters_by_zone() {
    let mut client = open().unwrap();
    let make = |port: u16, zone: &str| {
        try_cmd(&format!(
            "conntrack -I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport {port} --dport 53 -t 300 {zone}"
        ))
    };
    if make(1, "").is_err() || make(2, "-w 7").is_err() {
        // Without connection tracking, or without zones.
        return;
    }
    for (port, zone) in [(3, "-w 7"), (4, "-w 8")] {
        make(port, zone).unwrap();
    }
    // conntrack does not narrow a listing that is also in a zone of one direction.
    make(
        5,
        "--orig-zone 7 -r 10.244.1.5 -q 10.0.0.1 --reply-port-src 53 --reply-port-dst 5",
    )
    .unwrap();
    let ports = |client: &mut crate::Client, filter: &Filter| {
        let flows = client.flows_where(filter).unwrap();
        let mut ports: Vec<_> = flows
            .iter()
            .map(|flow| flow.original.source_port().unwrap())
            .collect();
        ports.sort_unstable();
        ports
    };
    let all = Filter::new();
    assert_eq!(ports(&mut client, &all.zone(7)), [2, 3]);
    assert_eq!(ports(&mut client, &all.zone(0)), [1, 5]);
    assert_eq!(ports(&mut client, &all.zone(9)), [0; 0]);
    assert_eq!(client.delete_where(&all.zone(7)), Ok(2));
    assert_eq!(ports(&mut client, &all), [1, 4, 5]);
    assert_eq!(client.delete_where(&all.family(Family::V6)), Ok(0));
    // A flush is of all zones.
    client.flush_family(Family::V6).unwrap();
    assert_eq!(theirs(Family::V4).len(), 3);
    client.flush().unwrap();
    assert_eq!(theirs(Family::V4), [""; 0]);
}
