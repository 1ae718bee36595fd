//! Many requests at once.

use ipvs_netlink::client::Reason;
use ipvs_netlink::{Error, Request, SaveLine, VirtualServerId};

use crate::{client, request, saved_by_ipvsadm, set};

fn reason(error: &Error) -> Reason {
    match error {
        Error::Refused(refusal) => refusal.reason(),
        other => panic!("{other}"),
    }
}

fn id(line: &str) -> VirtualServerId {
    match format!("-A {line}").parse().unwrap() {
        SaveLine::AddService { id, .. } => id,
        SaveLine::AddDestination { .. } => unreachable!(),
    }
}

pub fn mixed_requests_fail_alone() {
    let mut client = client();
    let requests = [
        request("-A -t 10.0.0.1:80 -s rr"),
        request("-A -t 10.0.0.1:80 -s rr"),
        request("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m"),
        request("-a -t 10.0.0.9:80 -r 10.1.0.1:80 -m"),
        request("-A -t 10.0.0.2:80 -s no-such"),
        request("-A -f 7 -s wlc"),
        Request::DeleteService { id: id("-f 8") },
        request("-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m"),
        Request::Zero(None),
    ];
    let outcome = client.apply(&requests);
    let failures: Vec<_> = outcome
        .failures()
        .map(|(index, error)| (index, reason(&error)))
        .collect();
    let no_such = "no-such".parse().unwrap();
    assert_eq!(
        failures,
        [
            (1, Reason::ServiceExists),
            (3, Reason::NoSuchService),
            (
                4,
                Reason::ModuleMissing {
                    scheduler: no_such,
                    engine: None
                }
            ),
            (6, Reason::NoSuchService),
        ]
    );
    assert!(!outcome.is_success() && outcome.result(0).is_ok() && outcome.result(1).is_err());
    let applied = [
        "-A -t 10.0.0.1:80 -s rr",
        "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1",
        "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1",
        "-A -f 7 -s wlc",
    ];
    assert_eq!(saved_by_ipvsadm(), set(&applied));
}

pub fn ten_thousand_requests_at_once() {
    let mut client = client();
    let services = (0..1000_u32).map(|n| format!("-t 10.0.{}.{}:80", n / 250, n % 250));
    let mut requests = Vec::new();
    for service in services {
        requests.push(request(&format!("-A {service} -s rr")));
        for n in 0..9 {
            requests.push(request(&format!("-a {service} -r 10.1.0.{n}:8080 -m -w 1")));
        }
    }
    assert_eq!(requests.len(), 10_000);
    client.apply(&requests).into_result().unwrap();
    let table = client.table().unwrap();
    assert_eq!(table.len(), 1000);
    assert!(table.iter().all(|entry| entry.destinations.len() == 9));

    // Again: every one fails, and each failure is reported.
    let outcome = client.apply(&requests);
    assert_eq!(outcome.failures().count(), 10_000);
    let of_services = outcome
        .failures()
        .filter(|(_, error)| reason(error) == Reason::ServiceExists);
    assert_eq!(of_services.count(), 1000);
}
