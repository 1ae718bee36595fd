//! What becomes of flows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use conntrack_netlink::{
    Counters, Error, Event, EventKinds, Flow, FlowEvent, FlowUpdate, Mark, Monitor, ProtocolState,
    Status, TcpState, uapi,
};
use kernel_test::{AnySocket, cmd, set_sysctl, try_cmd};
use netlink_batch::{Socket, SocketOptions, uapi::NETLINK_NETFILTER};

use crate::details::{listed, shown};
use crate::{make_flows, open, track};

fn monitor() -> Monitor<AnySocket> {
    Monitor::over(EventKinds::all(), AnySocket::new).unwrap()
}

/// The next event, which is on its way.
#[track_caller]
fn next(monitor: &mut Monitor<AnySocket>) -> FlowEvent {
    match monitor.next(Some(Duration::from_secs(10))).unwrap() {
        Some(Event::Flow(event)) => *event,
        other => panic!("{other:?}"),
    }
}

/// Waits until a connection to this port is in this state, through states that come before.
#[track_caller]
fn until(monitor: &mut Monitor<AnySocket>, port: u16, state: TcpState) -> Flow {
    loop {
        let event = next(monitor);
        let flow = event.flow();
        if flow.original.destination_port() != Some(port) {
            continue;
        }
        assert!(!matches!(event, FlowEvent::Destroyed(_)), "{event}");
        let found = flow.state.unwrap();
        assert_eq!(
            matches!(event, FlowEvent::New(_)),
            found == ProtocolState::Tcp(TcpState::SYN_SENT)
        );
        if found == ProtocolState::Tcp(state) {
            return *flow;
        }
    }
}

pub(crate) fn a_connection_from_its_first_packet_to_its_last() {
    track();
    set_sysctl("net.netfilter.nf_conntrack_acct", "1");
    let mut monitor = monitor();
    assert_eq!(monitor.next(None), Ok(None));
    assert_eq!(monitor.next(Some(Duration::from_millis(1))), Ok(None));

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    let port = address.port();
    let first = until(&mut monitor, port, TcpState::SYN_SENT);
    assert!(!first.status.unwrap().contains(Status::SEEN_REPLY));
    let established = until(&mut monitor, port, TcpState::ESTABLISHED);
    let both_ways = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
    assert!(established.status.unwrap().contains(both_ways));
    assert_eq!(established.key(), first.key());

    accepted.write_all(b"hello").unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();
    let mut client = open().unwrap();
    let listing = client.flow(&first.key()).unwrap().unwrap();
    let Some(Counters { packets, bytes }) = listing.reply_counters else {
        panic!("{listing:#}");
    };
    // SYN and ACK, and the data; each has headers of 40 bytes or more.
    assert!(packets >= 2 && bytes >= 85, "{listing:#}");
    assert_eq!(shown(&[listing]), listed("-p tcp"));
    assert!(listing.timeout.unwrap() > Duration::from_secs(1000));

    // The client closes, then the server.
    drop(connection);
    assert_eq!(accepted.read(&mut [0; 1]).unwrap(), 0);
    until(&mut monitor, port, TcpState::FIN_WAIT);
    drop(accepted);
    until(&mut monitor, port, TcpState::TIME_WAIT);
    assert_eq!(client.delete(&[first.key()]), Ok(1));
    let FlowEvent::Destroyed(gone) = next(&mut monitor) else {
        panic!("not the end");
    };
    assert_eq!(gone.key(), first.key());
    let Some(last) = gone.original_counters else {
        panic!("{gone:#}");
    };
    assert!(last.packets > listing.original_counters.unwrap().packets);
    assert_eq!(monitor.next(None), Ok(None));
}

pub(crate) fn what_others_change_is_reported() {
    let mut monitor = monitor();
    let mut ends = Monitor::over(EventKinds::DESTROYED, AnySocket::new).unwrap();
    let tuples = make_flows(2);
    for tuple in &tuples {
        let FlowEvent::New(flow) = next(&mut monitor) else {
            panic!("not new");
        };
        assert_eq!(flow.original, *tuple);
    }
    let mut client = open().unwrap();
    let update = FlowUpdate::new(tuples[0]).mark(Mark::exactly(7));
    assert_eq!(client.update(&[update]), Ok(1));
    let FlowEvent::Updated(flow) = next(&mut monitor) else {
        panic!("not changed");
    };
    assert_eq!((flow.original, flow.mark), (tuples[0], Some(7)));
    cmd("conntrack -D -p udp --orig-port-src 10001 2>/dev/null");
    client.flush().unwrap();
    for tuple in [tuples[1], tuples[0]] {
        for monitor in [&mut monitor, &mut ends] {
            let FlowEvent::Destroyed(flow) = next(monitor) else {
                panic!("not gone");
            };
            assert_eq!(flow.original, tuple);
        }
    }
    assert_eq!(ends.next(None), Ok(None));
}

pub(crate) fn more_than_the_buffer_holds() {
    let options = SocketOptions::default().buffers(1 << 16, 1 << 13);
    let mut socket = Socket::open(NETLINK_NETFILTER, &options).unwrap();
    socket.join(uapi::NFNLGRP_CONNTRACK_NEW).unwrap();
    let mut monitor = Monitor::new(AnySocket::new(socket).unwrap());
    make_flows(1000);
    let (mut events, mut lost) = (0, 0);
    while let Some(event) = monitor.next(None).unwrap() {
        match event {
            Event::Lost => lost += 1,
            event => events += usize::from(event.flow_event().is_some()),
        }
    }
    assert!(lost > 0 && events < 1000, "{events} events, {lost} lost");
    // It goes on afterwards.
    open().unwrap().flush().unwrap();
    make_flows(1);
    assert!(matches!(next(&mut monitor), FlowEvent::New(_)));
}

/// A kernel that takes the time of a flow; the guest's does not.
pub(crate) fn times_of_this_kernel() {
    if try_cmd("conntrack -L").is_err()
        || !Path::new("/proc/sys/net/netfilter/nf_conntrack_timestamp").exists()
    {
        let without = matches!(open().unwrap().flush(), Ok(()) | Err(Error::NoConntrack));
        assert!(without);
        return;
    }
    set_sysctl("net.netfilter.nf_conntrack_timestamp", "1");
    let mut monitor = monitor();
    let before = SystemTime::now();
    let tuples = make_flows(1);
    let mut client = open().unwrap();
    let flow = client.flow(&tuples[0].into()).unwrap().unwrap();
    let middle = SystemTime::now();
    client.flush().unwrap();
    let after = SystemTime::now();
    assert!(matches!(next(&mut monitor), FlowEvent::New(_)));
    let FlowEvent::Destroyed(gone) = next(&mut monitor) else {
        panic!("not gone");
    };
    assert_eq!((flow.ended, gone.started), (None, flow.started));
    let times = [
        before,
        flow.started.unwrap(),
        middle,
        gone.ended.unwrap(),
        after,
    ];
    assert!(times.is_sorted(), "{times:?}");
}
