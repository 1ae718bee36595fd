//! One fault has one kind: `MemoryKernel` and `LinuxKernel` are given the same operations.

use std::error::Error as _;

use kernel_test::{cmd, iptables_flavour};
use nix::unistd::{Gid, Uid, setresgid, setresuid};
use proxier::{
    KernelError, KernelErrorKind as Kind, KernelPart as Part, MemoryKernel, Operation, SetId,
    Sysctl,
};

use ipset_netlink::{Entry, SetName, SetSpec, SetType};
use ipvs_netlink::{Destination, DestinationConfig, VirtualServerId};
use proxier::cluster::Family;

/// What leads to a fault, and the operation that fails.
struct Fault {
    name: &'static str,
    before: Vec<Operation>,
    operation: Operation,
    part: Part,
    kind: Kind,
    /// The kernel's number.
    errno: Option<i32>,
}

fn server() -> VirtualServerId {
    "tcp 10.0.0.7:80"
        .split_once(' ')
        .map(|(protocol, address)| {
            let address: std::net::SocketAddr = address.parse().unwrap();
            VirtualServerId::Address {
                protocol: protocol.parse().unwrap(),
                address: address.ip(),
                port: address.port(),
            }
        })
        .unwrap()
}

fn add_server(scheduler: &str) -> Operation {
    let config = ipvs_netlink::VirtualServerConfig::new(scheduler.parse().unwrap());
    Operation::AddServer {
        id: server(),
        config,
    }
}

fn destination(address: &str) -> Destination {
    Destination {
        id: (address.parse::<std::net::IpAddr>().unwrap(), 8080).into(),
        config: DestinationConfig::masquerade(1),
    }
}

fn add_destination(address: &str) -> Operation {
    Operation::AddDestination {
        server: server(),
        destination: destination(address),
    }
}

fn name(text: &str) -> SetName {
    text.parse().unwrap()
}

fn small_set() -> Operation {
    let mut spec = SetSpec::hash(name("SMALL"), SetType::HASH_IP, Family::V4);
    spec.options.maxelem = Some(1);
    Operation::CreateSet(Box::new(spec))
}

fn member(set: &str, address: &str) -> Operation {
    Operation::AddEntry {
        set: name(set),
        entry: Entry::ip(address.parse().unwrap()),
    }
}

fn bitmap() -> Operation {
    Operation::CreateSet(Box::new(SetId::NodePortTcp.spec(Family::V4, 0)))
}

fn rule_naming(set: &str) -> Operation {
    let mut input = iptables_restore::RestoreInput::new();
    let text = format!("-A FORWARD -m set --match-set {set} src -j DROP");
    let save = format!("*filter\n:FORWARD ACCEPT [0:0]\n{text}\nCOMMIT\n");
    let rules: iptables_restore::Ruleset = save.parse().unwrap();
    let table = &rules.tables[0];
    let edits = input.table(table.name.clone());
    for rule in &table.chains[0].rules {
        edits
            .push(iptables_restore::Edit::Append {
                chain: table.chains[0].name.clone(),
                rule: rule.clone(),
            })
            .unwrap();
    }
    let change = proxier::RulesChange::new(Family::V4, input);
    Operation::RestoreRules(Box::new(change))
}

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
/// `IPSET_ERR_*` of linux/netfilter/ipset/ip_set.h and ip_set_hash.h.
const IPSET_BUSY: i32 = 4100;
const IPSET_EXIST: i32 = 4103;
const IPSET_HASH_FULL: i32 = 4352;

fn faults() -> Vec<Fault> {
    let fault = |name, before, operation, part, kind, errno| Fault {
        name,
        before,
        operation,
        part,
        kind,
        errno,
    };
    let delete = |address: &str| Operation::DeleteDestination {
        server: server(),
        id: destination(address).id,
    };
    vec![
        fault(
            "a virtual server twice",
            vec![add_server("rr")],
            add_server("rr"),
            Part::Ipvs,
            Kind::Exists,
            Some(EEXIST),
        ),
        fault(
            "no such virtual server",
            vec![],
            Operation::DeleteServer(server()),
            Part::Ipvs,
            Kind::Missing,
            Some(ESRCH),
        ),
        fault(
            "no such scheduler",
            vec![],
            add_server("nosuch"),
            Part::Ipvs,
            Kind::Unsupported,
            Some(ENOENT),
        ),
        fault(
            "a destination twice",
            vec![add_server("rr"), add_destination("10.244.1.5")],
            add_destination("10.244.1.5"),
            Part::Ipvs,
            Kind::Exists,
            Some(EEXIST),
        ),
        fault(
            "no such destination",
            vec![add_server("rr")],
            delete("10.244.1.6"),
            Part::Ipvs,
            Kind::Missing,
            Some(ENOENT),
        ),
        fault(
            "a destination that is a multicast address",
            vec![add_server("rr")],
            add_destination("239.1.1.1"),
            Part::Ipvs,
            Kind::Invalid,
            Some(EINVAL),
        ),
        fault(
            "a set twice",
            vec![bitmap()],
            bitmap(),
            Part::Ipset,
            Kind::Exists,
            Some(EEXIST),
        ),
        fault(
            "no such set",
            vec![],
            member("SMALL", "10.0.0.1"),
            Part::Ipset,
            Kind::Missing,
            Some(ENOENT),
        ),
        fault(
            "a set in use",
            vec![small_set(), rule_naming("SMALL")],
            Operation::DestroySet(name("SMALL")),
            Part::Ipset,
            Kind::Busy,
            Some(IPSET_BUSY),
        ),
        fault(
            "a set that is full",
            vec![small_set(), member("SMALL", "10.0.0.1")],
            member("SMALL", "10.0.0.2"),
            Part::Ipset,
            Kind::Full,
            Some(IPSET_HASH_FULL),
        ),
        fault(
            "an entry twice",
            vec![small_set(), member("SMALL", "10.0.0.1")],
            member("SMALL", "10.0.0.1"),
            Part::Ipset,
            Kind::Exists,
            Some(IPSET_EXIST),
        ),
        fault(
            "no such entry",
            vec![small_set()],
            Operation::DeleteEntry {
                set: name("SMALL"),
                entry: Entry::ip("10.0.0.1".parse().unwrap()),
            },
            Part::Ipset,
            Kind::Missing,
            Some(IPSET_EXIST),
        ),
        fault(
            "a rule that names a missing set",
            vec![],
            rule_naming("NOSUCH"),
            Part::Rules,
            Kind::Missing,
            None,
        ),
        fault(
            "a setting out of range",
            vec![],
            Operation::SetSysctl {
                sysctl: Sysctl::VsConntrack,
                value: 1 << 40,
                was: None,
            },
            Part::Sysctl,
            Kind::Invalid,
            Some(EINVAL),
        ),
        fault(
            "an address without a link",
            vec![],
            Operation::BindAddress("10.0.0.7".parse().unwrap()),
            Part::Links,
            Kind::Missing,
            None,
        ),
    ]
}

fn clear() {
    let flavour = iptables_flavour();
    cmd(&format!(
        "ipvsadm -C; iptables-{flavour} -F FORWARD; ipset destroy; true"
    ));
}

pub(crate) fn of_one_kind_in_both_kernels() {
    let mut linux = crate::kernel();
    for fault in faults() {
        clear();
        let mut memory = MemoryKernel::new();
        for operation in &fault.before {
            memory.perform(operation).unwrap();
            linux.perform(operation).unwrap();
        }
        let expected = (fault.part, fault.kind);
        let of = |error: &KernelError| (error.part, error.kind);
        let error = memory.perform(&fault.operation).unwrap_err();
        assert_eq!(of(&error), expected, "{} in memory: {error}", fault.name);
        let error = linux.perform(&fault.operation).unwrap_err();
        assert_eq!(of(&error), expected, "{}: {error}", fault.name);
        if fault.errno.is_some() {
            assert_eq!(error.errno, fault.errno, "{}: {error}", fault.name);
        }
        assert!(error.source().is_some(), "{}: {error}", fault.name);
    }
    clear();
}

/// Runs last in its process: there is no way back to root.
pub(crate) fn without_permission_of_one_kind() {
    let mut memory = MemoryKernel::new();
    memory.permit_changes(false);
    let mut linux = crate::kernel();
    let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
    setresgid(group, group, group).unwrap();
    setresuid(user, user, user).unwrap();
    let operations = [
        (add_server("rr"), Part::Ipvs),
        (bitmap(), Part::Ipset),
        (Operation::CreateLink, Part::Links),
        (
            Operation::SetSysctl {
                sysctl: Sysctl::VsConntrack,
                value: 1,
                was: None,
            },
            Part::Sysctl,
        ),
    ];
    for (operation, part) in operations {
        for error in [memory.perform(&operation), linux.perform(&operation)] {
            let error = error.unwrap_err();
            let found = (error.part, error.kind);
            assert_eq!(found, (part, Kind::Permission), "{operation}: {error}");
        }
        let error = linux.perform(&operation).unwrap_err();
        assert!(matches!(error.errno, Some(EPERM | 13)), "{error:?}");
    }
}
