//! Against a kernel with IPVS and ipset, where requests may change things.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::process::ExitCode;

use kernel_test::{cmd, cmd_input, tests, try_cmd};
use netlink_batch::{
    Acknowledge, Batch, Bytes, Connection, Dumped, Error, Header, Limits, Prefixed, errno, uapi,
};

fn main() -> ExitCode {
    kernel_test::main(tests![
        generic_netlink_forbids_each_request,
        nfnetlink_forbids_a_datagram_as_a_whole,
        a_failing_request_fails_alone,
        ipset_says_which_line_failed,
        a_dump_that_changes_starts_over,
        a_broken_off_dump_lets_go,
    ])
}

/// `IPSET_CMD_*` of [`linux/netfilter/ipset/ip_set.h`][h], with nfnetlink's subsystem 6.
///
/// [h]: https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/ipset/ip_set.h
const IPSET_PROTOCOL: u16 = 6 << 8 | 1;
const IPSET_LIST: u16 = 6 << 8 | 7;
const IPSET_ADD: u16 = 6 << 8 | 9;
/// `IPVS_CMD_*` of [`linux/ip_vs.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h).
const IPVS_DEL_SERVICE: u8 = 3;
const IPVS_GET_INFO: u8 = 15;
const RTM_GETADDR: u16 = 22;

/// An attribute with its padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A payload of ipset: `struct nfgenmsg`, `IPSET_ATTR_PROTOCOL`, and more attributes.
fn ipset(attributes: &[Vec<u8>]) -> Vec<u8> {
    [vec![2, 0, 0, 0], attribute(1, &[7]), attributes.concat()].concat()
}

/// From here on the process may not change anything.
fn become_nobody() {
    nix::unistd::seteuid(65534.into()).unwrap();
}

fn forbidden(batch: &mut Batch, protocol: u16) {
    for acknowledge in [Acknowledge::Last, Acknowledge::Each] {
        let limits = Limits::default().acknowledge(acknowledge);
        let report = Connection::open(protocol)
            .unwrap()
            .with_limits(limits)
            .execute(batch);
        let codes: Vec<_> = report
            .iter()
            .map(|result| result.map_err(Error::code))
            .collect();
        assert_eq!(codes, [Err(Some(errno::EPERM)); 5], "{report:?}");
    }
}

fn generic_netlink_forbids_each_request() {
    let ipvs = Connection::open(uapi::NETLINK_GENERIC)
        .unwrap()
        .family("IPVS")
        .unwrap();
    become_nobody();
    let mut batch = Batch::new();
    let info = Prefixed {
        prefix: [IPVS_GET_INFO, 1, 0, 0],
        payload: &Bytes(&[]),
    };
    (0..5).for_each(|_| _ = batch.push(Header::new(ipvs.id), &info));
    forbidden(&mut batch, uapi::NETLINK_GENERIC);
}

fn nfnetlink_forbids_a_datagram_as_a_whole() {
    cmd("ipset create loads-the-module hash:ip");
    become_nobody();
    let mut batch = Batch::new();
    (0..5).for_each(|_| _ = batch.push(Header::new(IPSET_PROTOCOL), &Bytes(&ipset(&[]))));
    forbidden(&mut batch, uapi::NETLINK_NETFILTER);
}

/// Services are deleted around one that does not exist.
fn a_failing_request_fails_alone() {
    let count = 2000;
    let rules: String = (0..count)
        .map(|n| format!("-A -f {} -s rr\n", n + 1))
        .collect();
    cmd_input("ipvsadm -R", &rules);
    cmd("ipvsadm -D -f 1000");

    let mut connection = Connection::open(uapi::NETLINK_GENERIC).unwrap();
    let ipvs = connection.family("IPVS").unwrap();
    let mut batch = Batch::new();
    for mark in 1..=count {
        // IPVS_CMD_ATTR_SERVICE with address family and firewall mark.
        let key = [
            attribute(1, &2u16.to_ne_bytes()),
            attribute(5, &u32::to_ne_bytes(mark)),
        ]
        .concat();
        let prefix = [IPVS_DEL_SERVICE, 1, 0, 0];
        batch.push(
            Header::new(ipvs.id),
            &Prefixed {
                prefix,
                payload: &Bytes(&attribute(1, &key)),
            },
        );
    }
    let report = connection.execute(&mut batch);
    let failures: Vec<_> = report
        .failures()
        .map(|(request, error)| (request, error.code()))
        .collect();
    assert_eq!(failures, [(999, Some(errno::ESRCH))]);
    assert_eq!(cmd("ipvsadm -Sn"), "");
}

/// Also to a socket that asks for no echo of its requests.
fn ipset_says_which_line_failed() {
    cmd("ipset create s hash:ip");
    let element = |line: u32, ip: [u8; 4]| {
        let address = attribute(0x8001, &attribute(0x4001, &ip));
        attribute(
            0x8007,
            &[address, attribute(0x4009, &line.to_be_bytes())].concat(),
        )
    };
    let elements = [
        [192, 0, 2, 1],
        [192, 0, 2, 2],
        [192, 0, 2, 1],
        [192, 0, 2, 3],
    ];
    let elements: Vec<_> = (1..)
        .zip(elements)
        .map(|(line, ip)| element(line, ip))
        .collect();
    let payload = ipset(&[
        attribute(2, b"s\0"),
        attribute(9, &[0; 4]),
        attribute(0x8008, &elements.concat()),
    ]);
    let mut connection = Connection::open(uapi::NETLINK_NETFILTER).unwrap();
    let header = Header::new(IPSET_ADD).with(uapi::NLM_F_EXCL);
    let Err(Error::Kernel(error)) = connection.request(header, &Bytes(&payload)) else {
        panic!()
    };
    // IPSET_ERR_EXIST; behind the protocol and the name comes IPSET_ATTR_LINENO.
    assert_eq!(
        (error.code, &error.request[20..28]),
        (4103, &[8, 0, 9, 0, 0, 0, 0, 3][..])
    );
    assert_eq!(cmd("ipset save -sorted s | grep -c add"), "2\n");
}

fn a_dump_that_changes_starts_over() {
    let lines: Vec<_> = (0..2000)
        .map(|n| format!("addr add 10.{}.{}.1/32 dev lo\n", n / 256, n % 256))
        .collect();
    cmd_input("ip -batch -", &lines.concat());

    let mut connection = Connection::open(uapi::NETLINK_ROUTE).unwrap();
    let (mut passes, mut addresses) = (1, BTreeSet::new());
    let result = connection.dump(Header::dump(RTM_GETADDR), &Bytes(&[0; 8]), |item| {
        match item {
            Dumped::StartOver => {
                passes += 1;
                addresses.clear();
            }
            Dumped::Message(message) => {
                if addresses.is_empty() && passes < 3 {
                    cmd(&format!("ip addr add 192.0.2.{passes}/32 dev lo"));
                }
                addresses.insert(message.payload.to_vec());
            }
        }
        ControlFlow::<()>::Continue(())
    });
    assert_eq!((result, passes), (Ok(None), 3));
    let listed = cmd("ip -o addr").lines().count();
    assert_eq!(addresses.len(), listed);
}

fn a_broken_off_dump_lets_go() {
    let lines: Vec<_> = (0..5000)
        .map(|n| format!("add s 10.0.{}.{}\n", n / 256, n % 256))
        .collect();
    cmd_input(
        "ipset restore",
        &format!("create s hash:ip\n{}", lines.concat()),
    );
    let mut connection = Connection::open(uapi::NETLINK_NETFILTER).unwrap();
    let stopped = connection.dump(Header::dump(IPSET_LIST), &Bytes(&ipset(&[])), |_| {
        let error = try_cmd("ipset destroy s").unwrap_err();
        assert!(error.stderr().contains("in use"), "{error}");
        ControlFlow::Break(())
    });
    assert_eq!(stopped, Ok(Some(())));
    cmd("ipset destroy s");
    // And the socket can dump again.
    let sets = connection.dump_all(Header::dump(IPSET_LIST), &Bytes(&ipset(&[])), |message| {
        Ok::<_, Error>(Some(message.message_type))
    });
    assert_eq!(sets, Ok(vec![]));
}
