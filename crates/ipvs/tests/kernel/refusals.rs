//! What the kernel refuses, and how that is reported.

use ipvs_netlink::client::Reason;
use ipvs_netlink::{
    Daemon, DaemonRole, Destination, DestinationConfig, Error, InterfaceName, PersistenceEngine,
    Request, SaveLine, Scheduler,
};
use kernel_test::cmd;

use crate::{add, client, request};

fn changed(line: &str) -> Request {
    match line.parse().unwrap() {
        SaveLine::AddService { id, config } => Request::SetService { id, config },
        SaveLine::AddDestination {
            service,
            destination,
        } => Request::SetDestination {
            service,
            destination,
        },
    }
}

fn deleted(line: &str) -> Request {
    match line.parse().unwrap() {
        SaveLine::AddService { id, .. } => Request::DeleteService { id },
        SaveLine::AddDestination {
            service,
            destination,
        } => Request::DeleteDestination {
            service,
            id: destination.id,
        },
    }
}

/// The request of the line with another destination.
fn with_destination(line: &str, id: &str, config: DestinationConfig) -> Request {
    let Request::NewDestination { service, .. } = request(line) else {
        panic!("{line}")
    };
    let id = id.parse().unwrap();
    Request::NewDestination {
        service,
        destination: Destination { id, config },
    }
}

/// Whether the reason is a broken rule; the text of the reason lists the rules.
fn is_invalid(reason: Reason) -> bool {
    matches!(reason, Reason::Invalid(_))
}

pub fn name_the_object_and_the_reason() {
    let mut client = client();
    add(
        &mut client,
        &[
            "-A -t 10.0.0.1:80 -s rr",
            "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1",
        ],
    );
    let there = "-A -t 10.0.0.1:80 -s rr";
    let missing = "-A -t 10.0.0.2:80 -s rr";
    let destination = "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m";
    let other = "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m";
    let nowhere = "-a -t 10.0.0.2:80 -r 10.1.0.2:80 -m";
    let no_such = Scheduler::new("no-such").unwrap();
    let no_engine = PersistenceEngine::new("no-such").unwrap();
    let module = |scheduler, engine| Reason::ModuleMissing { scheduler, engine };
    let SaveLine::AddService { id: missing_id, .. } = missing.parse().unwrap() else {
        panic!()
    };
    for (request, expected) in [
        (request(there), Reason::ServiceExists),
        (changed(missing), Reason::NoSuchService),
        (deleted(missing), Reason::NoSuchService),
        (
            Request::GetService { id: missing_id },
            Reason::NoSuchService,
        ),
        (Request::Zero(Some(missing_id)), Reason::NoSuchService),
        (request(destination), Reason::DestinationExists),
        (changed(other), Reason::NoSuchDestination),
        (deleted(other), Reason::NoSuchDestination),
        (request(nowhere), Reason::NoSuchService),
        (changed(nowhere), Reason::NoSuchService),
        (deleted(nowhere), Reason::NoSuchService),
        (
            request("-A -t 10.0.0.2:80 -s no-such"),
            module(no_such, None),
        ),
        (
            changed("-A -t 10.0.0.1:80 -s no-such"),
            module(no_such, None),
        ),
        (
            request("-A -t 10.0.0.2:80 -s rr -p 5 --pe no-such"),
            module(Scheduler::RR, Some(no_engine)),
        ),
        (
            // The parser refuses a line that asks for this.
            with_destination(
                other,
                "10.1.0.3:80",
                DestinationConfig::masquerade(1).with_thresholds(5, 6),
            ),
            Reason::OutOfRange,
        ),
    ] {
        match client.request(&request) {
            Err(Error::Refused(refusal)) => {
                assert_eq!((refusal.reason(), refusal.request), (expected, request));
                // The text names the request and the reason.
                let text = refusal.to_string();
                assert!(text.contains(&request.to_string()), "{text}");
                assert!(text.contains(&expected.to_string()), "{text}");
            }
            other => panic!("{request}: {other:?}"),
        }
    }
    let mixed = with_destination(other, "[2001:db8::1]:80", DestinationConfig::masquerade(1));
    let Err(Error::Refused(refusal)) = client.request(&mixed) else {
        panic!()
    };
    assert!(is_invalid(refusal.reason()));
    for line in [
        "-a -t 10.0.0.1:80 -r 224.0.0.1:80 -m",
        "-A -t [2001:db8::1]:80 -s rr",
        "-a -t [2001:db8::1]:80 -r [fe80::1]:80 -m",
    ] {
        match client.request(&request(line)) {
            Err(Error::Refused(refusal)) => assert!(is_invalid(refusal.reason()), "{line}"),
            // The service that the last line needs.
            Ok(()) if line.starts_with("-A -t [") => {}
            other => panic!("{line}: {other:?}"),
        }
    }
    // A weight that the kernel would take for negative.
    let Request::NewDestination {
        service,
        mut destination,
    } = request(other)
    else {
        panic!()
    };
    destination.config.weight = 1 << 31;
    let Err(Error::Refused(refusal)) = client.add_destination(service, destination) else {
        panic!()
    };
    assert_eq!(refusal.reason(), Reason::OutOfRange);
}

pub fn daemons_too() {
    let mut client = client();
    cmd(
        "ip link add sync0 type dummy && ip link set sync0 multicast on up && ip addr add 10.9.0.1/24 dev sync0",
    );
    let daemon = |name| Daemon::new(DaemonRole::Master, InterfaceName::new(name).unwrap(), 1);
    let mut refused = |request| match client.request(&request) {
        Err(Error::Refused(refusal)) => refusal.reason(),
        other => panic!("{request}: {other:?}"),
    };
    let start = |name| Request::NewDaemon(daemon(name));
    let stop = Request::DeleteDaemon(DaemonRole::Master);
    assert_eq!(refused(stop), Reason::NoSuchDaemon);
    assert_eq!(refused(start("nowhere0")), Reason::NoSuchInterface);
    // The protocol of the daemons has no room for destinations of another family.
    let mixed = "-a -t 10.0.0.1:80 -r [2001:db8:1::1]:80 -i";
    cmd(&format!("ipvsadm -A -t 10.0.0.1:80 -s rr; ipvsadm {mixed}"));
    assert!(is_invalid(refused(start("sync0"))));
    cmd("ipvsadm -C; ipvsadm --start-daemon master --mcast-interface sync0");
    assert_eq!(refused(start("sync0")), Reason::DaemonRunning);
    cmd("ipvsadm -A -t 10.0.0.1:80 -s rr");
    assert!(is_invalid(refused(request(mixed))));
}
