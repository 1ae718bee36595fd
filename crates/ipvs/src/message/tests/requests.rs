//! Requests, written and read.

use netlink_packet_generic::GenlFamily;

use crate::message::tests::{daemons, emit, exchange, exchanges, id, nest, request};
use crate::{
    DaemonRole, Request, Scheduler, ServiceFlags, Timeouts, VirtualServerConfig, VirtualServerId,
};

#[test]
fn services_are_written_byte_for_byte_as_ipvsadm_writes_them() {
    let mut seen = 0;
    for exchange in exchanges() {
        if !exchange.command.starts_with("ipvsadm -A")
            && !exchange.command.starts_with("ipvsadm -E")
        {
            continue;
        }
        let expected = request(exchange.command);
        let [captured] = &exchange.requests[..] else {
            panic!("{}", exchange.command)
        };
        assert_eq!(captured[..4], [expected.command(), 1, 0, 0]);
        assert_eq!(emit(&expected), captured[4..], "{}", exchange.command);
        assert_eq!(Request::decode(captured[0], &captured[4..]), Ok(expected));
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn destinations_are_written_as_ipvsadm_writes_them() {
    let mut seen = 0;
    for exchange in exchanges() {
        if !exchange.command.starts_with("ipvsadm -a")
            && !exchange.command.starts_with("ipvsadm -e")
        {
            continue;
        }
        let expected = request(exchange.command);
        let [captured] = &exchange.requests[..] else {
            panic!("{}", exchange.command)
        };
        assert_eq!(Request::decode(captured[0], &captured[4..]), Ok(expected));
        // ipvsadm sends settings of the service along, which the kernel does not look at.
        let ours = emit(&expected);
        assert!(
            nest(&captured[4..], 0).starts_with(nest(&ours, 0)),
            "{}",
            exchange.command
        );
        assert_eq!(
            nest(&captured[4..], 1),
            nest(&ours, 1),
            "{}",
            exchange.command
        );
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn keys_are_those_of_ipvsadm() {
    let service = id("-t 10.0.0.1:80");
    let destination = "10.1.0.2:80".parse().unwrap();
    for (command, expected) in [
        ("ipvsadm -D -f 7", Request::DeleteService { id: id("-f 7") }),
        ("ipvsadm -Z -t 10.0.0.1:80", Request::Zero(Some(service))),
        (
            "ipvsadm -Ln -u 10.0.0.1:53",
            Request::GetService {
                id: id("-u 10.0.0.1:53"),
            },
        ),
        (
            "ipvsadm -d -t 10.0.0.1:80 -r 10.1.0.2:80",
            Request::DeleteDestination {
                service,
                id: destination,
            },
        ),
        (
            "ipvsadm --stop-daemon backup",
            Request::DeleteDaemon(DaemonRole::Backup),
        ),
    ] {
        let captured = &exchange(command).requests[0];
        assert_eq!(
            Request::decode(captured[0], &captured[4..]),
            Ok(expected),
            "{command}"
        );
        let ours = emit(&expected);
        assert!(
            nest(&captured[4..], 0).starts_with(nest(&ours, 0)),
            "{command}"
        );
        assert_eq!(Request::decode(expected.command(), &ours), Ok(expected));
    }
}

#[test]
fn requests_without_objects_are_bare_commands() {
    for (command, index, expected) in [
        ("ipvsadm -Ln", 0, Request::GetServices),
        (
            "ipvsadm -Ln",
            1,
            Request::GetDestinations {
                service: id("-t 10.0.0.1:80"),
            },
        ),
        (
            "ipvsadm -Ln",
            4,
            Request::GetDestinations {
                service: id("-u [2001:db8::1]:53"),
            },
        ),
        (
            "ipvsadm -Ln",
            6,
            Request::GetDestinations {
                service: id("-f 7 -6"),
            },
        ),
        ("ipvsadm -L --daemon", 0, Request::GetDaemons),
        ("ipvsadm -L --timeout", 0, Request::GetInfo),
        ("ipvsadm -L --timeout", 1, Request::GetTimeouts),
        ("ipvsadm -Z", 0, Request::Zero(None)),
        ("ipvsadm -C", 0, Request::Flush),
        (
            "ipvsadm --set 0 120 0",
            0,
            Request::SetTimeouts(Timeouts {
                tcp_fin: 120,
                ..Timeouts::default()
            }),
        ),
    ] {
        let captured = &exchange(command).requests[index];
        assert_eq!(emit(&expected), captured[4..], "{command}");
        assert_eq!(
            Request::decode(captured[0], &captured[4..]),
            Ok(expected),
            "{command}"
        );
    }
}

#[test]
fn daemons_are_started_as_ipvsadm_starts_them() {
    for (command, daemon) in daemons() {
        let captured = &exchange(command).requests[0];
        assert_eq!(
            emit(&Request::NewDaemon(daemon)),
            captured[4..],
            "{command}"
        );
        assert_eq!(
            Request::decode(captured[0], &captured[4..]),
            Ok(Request::NewDaemon(daemon)),
            "{command}"
        );
    }
}

/// A virtual server that claims to be in the kernel's table already would not be put there.
#[test]
fn the_kernels_own_flag_is_not_sent() {
    let id = VirtualServerId::tcp(([10, 0, 0, 1], 80));
    let plain = VirtualServerConfig::new(Scheduler::RR);
    let config = plain.with_flags(ServiceFlags::HASHED);
    for (hashed, expected) in [
        (
            Request::NewService { id, config },
            Request::NewService { id, config: plain },
        ),
        (
            Request::SetService { id, config },
            Request::SetService { id, config: plain },
        ),
    ] {
        assert_eq!(emit(&hashed), emit(&expected));
    }
}
