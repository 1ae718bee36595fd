//! The client against a scripted socket, for answers that a real kernel cannot be made to give.
#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the script is part of the tests"
)]

use std::collections::VecDeque;
use std::time::Duration;

use dummy_link::{
    Client, Error, Family, LinkName, LocalRoute, Mark, MarkRule, Outcome, RoutingProtocol, Table,
    every_address, host_address, message,
};
use netlink_batch::scripted::Scripted;
use netlink_batch::{Connection, Limits, Loss, Transport, errno, uapi};
use netlink_packet_core::Emitable as _;

/// The reply of Linux 6.1.176 to a question for the dummy link kube-ipvs0, as `ip link` got it.
const KUBE_IPVS0: &[u8] = include_bytes!("../src/message/kube-ipvs0.bin");

const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;

const TIMEOUT: Duration = Duration::from_secs(2);

/// What comes in answer to one request.
#[derive(Clone)]
enum Answer {
    /// The link, then success.
    Link,
    /// A link without a name, then success.
    Nameless,
    /// This error, or success if 0.
    Code(i32),
    /// One part of a dump with these flags, then its end.
    Dump(u16),
    /// The route, and one of another table, as all of a dump.
    Routes,
    Nothing,
}

use Answer::{Code, Dump, Link, Nameless, Nothing, Routes};

fn client(answers: &[Answer]) -> Client<impl Transport + use<>> {
    let mut answers: VecDeque<_> = answers.iter().cloned().collect();
    let script = Scripted::new(uapi::NETLINK_ROUTE, move |_, replies| {
        match answers.pop_front().unwrap() {
            Link => {
                replies.message(RTM_NEWLINK, 0, &KUBE_IPVS0[16..]);
                replies.result(0);
            }
            Nameless => {
                replies.message(RTM_NEWLINK, 0, &[0; 16]);
                replies.result(0);
            }
            Code(code) => replies.result(code),
            Dump(flags) => {
                replies.message(RTM_NEWLINK, flags | uapi::NLM_F_MULTI, &KUBE_IPVS0[16..]);
                replies.done(0);
            }
            Routes => {
                let other = LocalRoute {
                    table: Table(7),
                    ..route()
                };
                for route in [other, route()] {
                    let message = message::local_route(&route);
                    let mut payload = vec![0; message.buffer_len()];
                    message.emit(&mut payload);
                    replies.message(RTM_NEWROUTE, uapi::NLM_F_MULTI, &payload);
                }
                replies.done(0);
            }
            Nothing => {}
        }
    });
    let limits = Limits::default().reply_timeout(TIMEOUT).attempts(3);
    Client::new(Connection::new(script).with_limits(limits))
}

fn link() -> LinkName {
    "kube-ipvs0".parse().unwrap()
}

#[test]
fn a_missing_permission_is_named() {
    let denied = Error::NotPermitted { link: link() };
    let address = host_address("10.0.0.1".parse().unwrap());
    assert_eq!(
        client(&[Code(errno::EPERM)]).ensure(link()),
        Err(denied.clone())
    );
    assert_eq!(
        client(&[Link, Code(errno::EPERM)]).delete(link()),
        Err(denied.clone())
    );
    assert_eq!(
        client(&[Link, Code(errno::EPERM)]).set_up(link(), true),
        Err(denied.clone())
    );
    let results = client(&[Link, Code(errno::EPERM)]).add_addresses(link(), &[address]);
    assert_eq!(results, Ok(vec![Err(denied.clone())]));
    let results = client(&[Link, Code(errno::EPERM)]).remove_addresses(link(), &[address]);
    assert_eq!(results, Ok(vec![Err(denied.clone())]));
    assert_eq!(
        denied.to_string(),
        "changing link kube-ipvs0 takes the capability CAP_NET_ADMIN in its network namespace"
    );
}

#[test]
fn other_errors_keep_the_kernels_number() {
    let error = client(&[Code(errno::ENOMEM)]).ensure(link()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot create link kube-ipvs0: Cannot allocate memory (os error 12)"
    );
    let address = host_address("fd00::1".parse().unwrap());
    let results = client(&[Link, Code(errno::EINVAL)])
        .add_addresses(link(), &[address])
        .unwrap();
    assert_eq!(
        results[0].as_ref().unwrap_err().to_string(),
        "cannot add address fd00::1/128 of link kube-ipvs0: Invalid argument (os error 22)"
    );
    // Of IPv4 EACCES has no special meaning.
    let address = host_address("10.0.0.1".parse().unwrap());
    let results = client(&[Link, Code(errno::EACCES)])
        .add_addresses(link(), &[address])
        .unwrap();
    assert!(matches!(results[0], Err(Error::Address { .. })));
}

#[test]
fn a_kernel_without_ipv6_is_recognised() {
    let address = host_address("fd00::1".parse().unwrap());
    let results = client(&[Link, Code(errno::EOPNOTSUPP)]).add_addresses(link(), &[address]);
    assert_eq!(
        results,
        Ok(vec![Err(Error::Ipv6Unsupported {
            link: link(),
            address
        })])
    );
}

#[test]
fn a_link_that_goes_meanwhile_is_gone() {
    assert_eq!(
        client(&[Link, Code(errno::ENODEV)]).delete(link()),
        Ok(Outcome::Unchanged)
    );
    let address = host_address("10.0.0.1".parse().unwrap());
    let results = client(&[Link, Code(errno::ENODEV)]).add_addresses(link(), &[address]);
    assert_eq!(results, Ok(vec![Err(Error::LinkMissing { link: link() })]));
}

#[test]
fn a_lost_answer_is_looked_up() {
    assert_eq!(
        client(&[Nothing, Link]).ensure(link()),
        Ok(Outcome::Changed)
    );
    let error = client(&[Nothing, Code(errno::ENODEV)])
        .ensure(link())
        .unwrap_err();
    let lost = netlink_batch::Error::Unknown(Loss::Timeout(TIMEOUT));
    assert_eq!(
        error,
        Error::Link {
            action: "create",
            link: link(),
            reason: lost
        }
    );
    // Of addresses, asking again is enough.
    let address = host_address("10.0.0.1".parse().unwrap());
    let results = client(&[Link, Nothing, Code(errno::EEXIST)]).add_addresses(link(), &[address]);
    assert_eq!(results, Ok(vec![Ok(Outcome::Unchanged)]));
}

#[test]
fn listings_that_changed_are_listed_again() {
    let changed = Dump(uapi::NLM_F_DUMP_INTR);
    let links = client(&[changed.clone(), changed.clone(), Dump(0)])
        .links()
        .unwrap();
    assert_eq!(
        links.iter().map(|link| link.name).collect::<Vec<_>>(),
        [link()]
    );
    let interrupted = netlink_batch::Error::DumpInterrupted { attempts: 3 };
    assert_eq!(
        client(&vec![changed; 3]).links(),
        Err(Error::Netlink(interrupted))
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let error = client(&[Nameless]).link(link()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the kernel's description of a link: IFLA_IFNAME: the attribute is missing"
    );
    let interrupted = client(&[Code(errno::EBUSY)]).links().unwrap_err();
    assert_eq!(
        interrupted.to_string(),
        "cannot list links and addresses: Device or resource busy (os error 16)"
    );
}

fn rule() -> MarkRule {
    MarkRule {
        family: Family::V6,
        priority: 100,
        iif_lo: false,
        mark: Mark::bits(0x2000),
        table: Table(8192),
        protocol: RoutingProtocol(77),
    }
}

fn route() -> LocalRoute {
    LocalRoute {
        destination: every_address(Family::V6),
        link: 1,
        table: Table(8192),
        protocol: RoutingProtocol(77),
    }
}

#[test]
fn answers_about_rules_and_routes_are_named() {
    let unsupported = Error::RoutingUnsupported { family: Family::V6 };
    for (code, expected) in [
        (errno::EPERM, &Error::RoutingNotPermitted),
        (errno::EAFNOSUPPORT, &unsupported),
        (errno::EOPNOTSUPP, &unsupported),
    ] {
        let client = || client(&[Code(code)]);
        let rule = [rule()];
        assert_eq!(client().add_rules(&rule), [Err(expected.clone())]);
        assert_eq!(client().remove_rules(&rule), [Err(expected.clone())]);
        let route = [route()];
        assert_eq!(client().add_routes(&route), [Err(expected.clone())]);
        assert_eq!(client().remove_routes(&route), [Err(expected.clone())]);
    }
    let text =
        |mut outcomes: Vec<Result<Outcome, Error>>| outcomes.remove(0).unwrap_err().to_string();
    assert_eq!(
        text(client(&[Code(errno::EINVAL)]).add_rules(&[rule()])),
        "cannot add the rule priority 100 fwmark 0x2000/0x2000 table 8192 protocol 77: \
         Invalid argument (os error 22)"
    );
    assert_eq!(
        text(client(&[Code(errno::EINVAL)]).remove_routes(&[route()])),
        "cannot remove the route local ::/0 table 8192 proto 77: Invalid argument (os error 22)"
    );
}

#[test]
fn a_kernel_without_policy_routing_has_no_rules() {
    assert_eq!(client(&[Code(errno::EOPNOTSUPP)]).rules(), Ok(vec![]));
    let failed = client(&[Code(errno::ENOMEM)])
        .rules()
        .unwrap_err()
        .to_string();
    assert_eq!(
        failed,
        "cannot list rules: Cannot allocate memory (os error 12)"
    );
    // Each family by itself.
    let answers = [Code(errno::ENOENT), Code(errno::EAFNOSUPPORT)];
    assert_eq!(client(&answers).routes(Table(8192)), Ok(vec![]));
    let failed = client(&[Code(errno::ENOENT), Code(errno::ENOMEM)]).routes(Table(8192));
    assert_eq!(
        failed.unwrap_err().to_string(),
        "cannot list routes: Cannot allocate memory (os error 12)"
    );
}

#[test]
fn a_route_that_cannot_be_compared_counts_as_another() {
    // The listing fails after EEXIST.
    let answers = [Code(errno::EEXIST), Code(errno::ENOMEM)];
    let taken = Error::RouteTaken { route: route() };
    assert_eq!(client(&answers).add_routes(&[route()]), [Err(taken)]);
}

#[test]
fn routes_of_other_tables_and_families_are_left_out() {
    // Without strict checking the kernel lists all tables; without IPv6, the same for both families.
    let found = client(&[Routes, Routes]).routes(Table(8192)).unwrap();
    let local: Vec<_> = found.iter().filter_map(dummy_link::Route::local).collect();
    assert_eq!(local, [route()]);
}
