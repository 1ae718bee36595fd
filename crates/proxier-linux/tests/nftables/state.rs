//! What `LinuxKernel` writes is what it reads.

use ipnetwork::IpNetwork;
use kernel_test::{cmd, try_cmd};
use proxier::cluster::Family;
use proxier::nftables::{AddressPort, Element, Kind, NodePort, Options, Routing, TableRules};
use proxier::{
    Kernel, KernelError, KernelErrorKind, KernelPart, Layout, LocalSource, MemoryKernel,
    ObservedTable, Operation, TableWrite,
};
use proxier_linux::LinuxKernel;

fn open() -> LinuxKernel {
    crate::proxy::open(Layout::Nftables)
}

/// The table of a family, which must be there.
pub(crate) fn table_of(kernel: &mut LinuxKernel, family: Family) -> ObservedTable {
    kernel
        .observe()
        .unwrap()
        .tables
        .get(family)
        .clone()
        .unwrap()
}

fn apply(kernel: &mut LinuxKernel, operations: impl IntoIterator<Item = Operation>) {
    for operation in operations {
        kernel.perform(&operation).unwrap();
    }
}

fn write(rules: TableRules, elements: Vec<Element>) -> Operation {
    Operation::WriteTable(Box::new(TableWrite::new(rules, elements)))
}

/// Each option that chains and rules depend on.
fn variants(family: Family) -> Vec<TableRules> {
    let (pods, node) = match family {
        Family::V4 => ("10.244.0.0/16", "192.0.2.1"),
        Family::V6 => ("fd00:10:244::/48", "2001:db8::1"),
    };
    let network: IpNetwork = pods.parse().unwrap();
    let everybody = IpNetwork::new(family.unspecified(), 0).unwrap();
    [
        None,
        Some(LocalSource::Network(network)),
        Some(LocalSource::Network(everybody)),
        Some(LocalSource::Interface("cni0".into())),
        Some(LocalSource::Interface("veth+".into())),
    ]
    .into_iter()
    .zip([false, true].into_iter().cycle())
    .map(|(local_source, masquerade_all)| {
        let mut rules = TableRules::new(family);
        rules.local_source = local_source;
        rules.masquerade_all = masquerade_all;
        rules.ping = masquerade_all.then(|| node.parse().unwrap());
        rules
    })
    .collect()
}

/// An element of each set, of several shapes.
fn elements(family: Family) -> Vec<Element> {
    let texts = match family {
        Family::V4 => ["10.96.0.10", "0.0.0.0/0", "192.0.2.0/29", "192.0.2.77/32"],
        Family::V6 => [
            "fd00:10:96::10",
            "::/0",
            "2001:db8:1::/61",
            "2001:db8::7/128",
        ],
    };
    let address = texts[0].parse().unwrap();
    let at = |protocol, port| AddressPort {
        address,
        protocol,
        port,
    };
    use ipvs_netlink::Protocol as P;
    let node_port = |port| NodePort {
        protocol: P::SCTP,
        port,
    };
    let mut all = vec![
        Element::Firewalled(at(P::UDP, 53)),
        Element::Refused(at(P::TCP, 54)),
        Element::Hairpin(address),
        Element::ClusterIp(address),
        Element::NodeAddress(address),
        Element::ServiceMark(at(P::TCP, 443), 0x1003),
        Element::NodePortMark(node_port(30_000), 0x7f),
        Element::Service(at(P::TCP, 1), Kind::ClusterIp),
        Element::Service(at(P::UDP, 2), Kind::External),
        Element::Service(at(P::SCTP, 3), Kind::ExternalLocal),
        Element::Service(at(P::TCP, 65_535), Kind::Drop),
        Element::NodePort(node_port(30_001), Kind::NodePort),
        Element::NodePort(node_port(30_002), Kind::NodePortLocal),
    ];
    for (port, range) in (1..).zip(&texts[1..]) {
        all.push(Element::SourceRange(
            at(P::TCP, port),
            range.parse().unwrap(),
        ));
    }
    all.sort_unstable();
    all
}

pub(crate) fn what_is_written_is_read_back() {
    let mut kernel = open();
    for family in Family::ALL {
        for rules in variants(family) {
            let structure = rules.structure();
            kernel.perform(&write(rules, elements(family))).unwrap();
            let found = table_of(&mut kernel, family);
            for (found, wanted) in found.structure.rules.iter().zip(&structure.rules) {
                assert_eq!(found, wanted);
            }
            assert_eq!(found.structure, structure);
            assert_eq!(found.elements, elements(family));
            assert_eq!(found.foreign_elements, 0);
        }
    }
    // A listing of nft loads again as it is: nothing in it is beyond nft's language.
    let listing = cmd("nft list ruleset");
    cmd("nft flush ruleset");
    assert!(kernel.observe().unwrap().tables.v4.is_none());
    kernel_test::cmd_input("nft -f -", &listing);
    assert_eq!(cmd("nft list ruleset"), listing);
    for family in Family::ALL {
        kernel.perform(&Operation::DeleteTable(family)).unwrap();
    }
    let left = kernel.observe().unwrap().tables;
    assert!(left.v4.is_none() && left.v6.is_none());
}

/// Added, changed and deleted one by one; all others stay.
pub(crate) fn elements_come_and_go() {
    let mut kernel = open();
    for family in Family::ALL {
        kernel
            .perform(&write(TableRules::new(family), Vec::new()))
            .unwrap();
        let all = elements(family);
        let add = |element: &Element| Operation::AddElement {
            family,
            element: *element,
        };
        apply(&mut kernel, all.iter().map(add));
        let observed = |kernel: &mut LinuxKernel| table_of(kernel, family).elements;
        assert_eq!(observed(&mut kernel), all);
        let change = |was: &Element| {
            let element = match *was {
                Element::ServiceMark(at, _) => Element::ServiceMark(at, 0x11),
                Element::NodePortMark(at, _) => Element::NodePortMark(at, 0x12),
                Element::Service(at, Kind::External) => Element::Service(at, Kind::ExternalLocal),
                Element::NodePort(at, Kind::NodePort) => Element::NodePort(at, Kind::NodePortLocal),
                _ => return None,
            };
            let was = *was;
            Some(Operation::ChangeElement {
                family,
                element,
                was,
            })
        };
        let changes: Vec<_> = all.iter().filter_map(change).collect();
        assert_eq!(changes.len(), 4);
        apply(&mut kernel, changes);
        let changed = observed(&mut kernel);
        assert_eq!(changed.len(), all.len());
        assert_eq!(changed.iter().filter(|one| !all.contains(one)).count(), 4);
        let delete = |element: &Element| Operation::DeleteElement {
            family,
            element: *element,
        };
        apply(&mut kernel, changed.iter().map(delete));
        assert_eq!(observed(&mut kernel), []);
    }
}

/// Both kernels, given the same.
struct Both {
    linux: LinuxKernel,
    memory: MemoryKernel,
}

impl Both {
    fn new() -> Self {
        Self {
            linux: open(),
            memory: MemoryKernel::new(),
        }
    }

    /// What comes of an operation, the same in both.
    #[track_caller]
    fn perform(&mut self, operation: &Operation) -> Result<(), KernelError> {
        let linux = self.linux.perform(operation);
        let memory = self.memory.perform(operation);
        let fault = |result: &Result<(), KernelError>| match result {
            Ok(()) => None,
            Err(error) => Some((error.part, error.kind)),
        };
        assert_eq!(
            fault(&linux),
            fault(&memory),
            "{}: {linux:?}, in memory {memory:?}",
            operation.summary()
        );
        linux
    }

    #[track_caller]
    fn fails(&mut self, operation: &Operation, kind: KernelErrorKind) -> KernelError {
        let error = self.perform(operation).unwrap_err();
        assert_eq!((error.part, error.kind), (KernelPart::of(operation), kind));
        error
    }

    #[track_caller]
    fn agree(&mut self) {
        let (linux, memory) = (
            self.linux.observe().unwrap(),
            self.memory.observe().unwrap(),
        );
        assert_eq!(linux.tables, memory.tables);
        assert_eq!(linux.routing, memory.routing);
    }
}

/// A fault has one kind in both kernels, and one element that is refused changes nothing.
pub(crate) fn faults_are_the_same_in_both_kernels() {
    use KernelErrorKind::{Exists, Missing};
    let mut both = Both::new();
    for family in Family::ALL {
        let all = elements(family);
        let add = |element: Element| Operation::AddElement { family, element };
        let delete = |element: Element| Operation::DeleteElement { family, element };
        both.fails(&add(all[0]), Missing);
        both.fails(&Operation::DeleteTable(family), Missing);
        both.perform(&write(TableRules::new(family), Vec::new()))
            .unwrap();
        for element in all {
            both.fails(&delete(element), Missing);
            both.perform(&add(element)).unwrap();
            let error = both.fails(&add(element), Exists);
            assert!(error.errno.is_some() && std::error::Error::source(&error).is_some());
            let set = element.set().as_str();
            assert!(error.to_string().contains(set), "{error}");
        }
        both.agree();
        // A range within another one of the same port.
        let range = elements(family)
            .into_iter()
            .find_map(|element| match element {
                Element::SourceRange(at, range) if range.prefix() == 0 => Some((at, range.ip())),
                _ => None,
            });
        let (at, first) = range.unwrap();
        both.fails(&add(Element::SourceRange(at, first.into())), Exists);
        both.agree();
        // What is not there cannot be changed, and its successor does not come.
        let mark = |mark| match family {
            Family::V4 => Element::ServiceMark(at, mark),
            Family::V6 => Element::ServiceMark(at, mark + 1),
        };
        let change = Operation::ChangeElement {
            family,
            element: mark(2),
            was: mark(1),
        };
        both.fails(&change, Missing);
        both.agree();
        both.perform(&add(mark(1))).unwrap();
        both.perform(&change).unwrap();
        both.agree();
        both.perform(&write(TableRules::new(family), vec![mark(3)]))
            .unwrap();
        both.agree();
        both.perform(&Operation::DeleteTable(family)).unwrap();
    }
    let routing = Routing::of(&Options::default(), Family::ALL);
    for rule in routing.rules {
        both.fails(&Operation::DeleteRoutingRule(rule), Missing);
        both.perform(&Operation::AddRoutingRule(rule)).unwrap();
        both.fails(&Operation::AddRoutingRule(rule), Exists);
    }
    for route in routing.routes {
        both.fails(&Operation::DeleteRoute(route), Missing);
        both.perform(&Operation::AddRoute(route)).unwrap();
        both.fails(&Operation::AddRoute(route), Exists);
    }
    both.agree();
}

/// Another route to every address in our table is not ours to remove.
pub(crate) fn a_route_of_others_is_in_the_way() {
    let mut kernel = open();
    cmd("ip route add blackhole default table 8192");
    let routing = Routing::of(&Options::default(), [Family::V4]);
    let error = kernel
        .perform(&Operation::AddRoute(routing.routes[0]))
        .unwrap_err();
    assert_eq!(
        (error.part, error.kind),
        (KernelPart::Routing, KernelErrorKind::Exists)
    );
    assert!(cmd("ip route show table 8192").contains("blackhole"));
}

pub(crate) fn routing_is_written_and_read() {
    let mut kernel = open();
    assert_eq!(kernel.observe().unwrap().routing, Routing::default());
    let wanted = Routing::of(&Options::default(), Family::ALL);
    let operations = |add: bool| {
        let rules = wanted.rules.iter().map(move |rule| match add {
            true => Operation::AddRoutingRule(*rule),
            false => Operation::DeleteRoutingRule(*rule),
        });
        let routes = wanted.routes.iter().map(move |route| match add {
            true => Operation::AddRoute(*route),
            false => Operation::DeleteRoute(*route),
        });
        rules.chain(routes).collect::<Vec<_>>()
    };
    apply(&mut kernel, operations(true));
    assert_eq!(kernel.observe().unwrap().routing, wanted);
    // What others have stays.
    cmd("ip rule add priority 50 fwmark 7 table 100");
    assert_eq!(kernel.observe().unwrap().routing, wanted);
    apply(&mut kernel, operations(false));
    assert_eq!(kernel.observe().unwrap().routing, Routing::default());
    assert!(cmd("ip rule").contains("fwmark 0x7"));
    assert!(try_cmd("ip route show table 8192").map_or(true, |routes| routes.is_empty()));
}

/// A rule of another, and a set of another, in the table: seen as a difference.
pub(crate) fn what_others_put_into_the_table_is_seen() {
    let mut kernel = open();
    let family = Family::V4;
    let rules = TableRules::new(family);
    kernel.perform(&write(rules.clone(), Vec::new())).unwrap();
    let found = |kernel: &mut LinuxKernel| kernel.observe().unwrap().tables.v4.unwrap();
    assert_eq!(found(&mut kernel).structure, rules.structure());
    for (does, undoes) in [
        (
            "nft insert rule ip kube-proxier prerouting counter accept",
            "nft flush chain ip kube-proxier prerouting",
        ),
        (
            "nft add chain ip kube-proxier mine",
            "nft delete chain ip kube-proxier mine",
        ),
        (
            "nft add set ip kube-proxier mine '{ type ipv4_addr; }'",
            "nft delete set ip kube-proxier mine",
        ),
    ] {
        cmd(does);
        assert_ne!(found(&mut kernel).structure, rules.structure(), "{does}");
        cmd(undoes);
        kernel.perform(&write(rules.clone(), Vec::new())).unwrap();
        assert_eq!(found(&mut kernel).structure, rules.structure());
    }
}
