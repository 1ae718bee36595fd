//! What nf_tables refuses, the kernel in memory refuses.

use proxier::cluster::Family;
use proxier::nftables::{AddressPort, Element, Kind, Options, Routing, SetId, TableRules};
use proxier::{
    Desired, KernelError, KernelErrorKind, KernelPart, Layout, MemoryKernel, Observed, Operation,
    Ownership, Plan, TableWrite, reconcile,
};

const V4: Family = Family::V4;

fn at(port: u16) -> AddressPort {
    AddressPort {
        address: [10, 0, 0, 7].into(),
        protocol: ipvs_netlink::Protocol::TCP,
        port,
    }
}

fn add(element: Element) -> Operation {
    Operation::AddElement {
        family: V4,
        element,
    }
}

fn delete(element: Element) -> Operation {
    Operation::DeleteElement {
        family: V4,
        element,
    }
}

fn written() -> Operation {
    Operation::WriteTable(Box::new(TableWrite::new(TableRules::new(V4), Vec::new())))
}

fn with_table() -> MemoryKernel {
    let mut kernel = MemoryKernel::new();
    kernel.perform(&written()).unwrap();
    kernel
}

fn refused(kernel: &mut MemoryKernel, operation: &Operation) -> (KernelPart, KernelErrorKind) {
    let before = kernel.state();
    let KernelError { part, kind, .. } = kernel.perform(operation).unwrap_err();
    assert_eq!(kernel.state(), before, "{operation}");
    (part, kind)
}

#[test]
fn what_is_there_or_is_missing_is_refused() {
    use KernelErrorKind::{Exists, Missing};
    let of = |kind| (KernelPart::Nftables, kind);
    let mark = |mark| Element::ServiceMark(at(80), mark);
    let mut kernel = MemoryKernel::new();
    assert_eq!(refused(&mut kernel, &add(mark(1))), of(Missing), "no table");
    assert_eq!(
        refused(&mut kernel, &Operation::DeleteTable(V4)),
        of(Missing)
    );

    let mut kernel = with_table();
    assert_eq!(refused(&mut kernel, &delete(mark(1))), of(Missing));
    kernel.perform(&add(mark(1))).unwrap();
    assert_eq!(refused(&mut kernel, &add(mark(1))), of(Exists));
    assert_eq!(
        refused(&mut kernel, &add(mark(2))),
        of(Exists),
        "a map has one for each key"
    );
    let change = |to, was| Operation::ChangeElement {
        family: V4,
        element: to,
        was,
    };
    kernel.perform(&change(mark(2), mark(1))).unwrap();
    let (external, local) = (
        Element::Service(at(80), Kind::External),
        Element::Service(at(80), Kind::ExternalLocal),
    );
    assert_eq!(refused(&mut kernel, &change(external, local)), of(Missing));
    kernel.perform(&add(local)).unwrap();
    kernel.perform(&add(external)).unwrap();
    assert_eq!(
        refused(&mut kernel, &change(external, local)),
        of(Exists),
        "and nothing is lost"
    );
    kernel.perform(&delete(local)).unwrap();
    kernel.perform(&delete(mark(1))).unwrap();
    let elements = kernel.state().tables.v4.unwrap().elements;
    assert_eq!(elements, [external]);
}

#[test]
fn ranges_of_one_port_do_not_overlap() {
    let mut kernel = with_table();
    let range = |port, text: &str| add(Element::SourceRange(at(port), text.parse().unwrap()));
    kernel.perform(&range(80, "10.0.0.0/8")).unwrap();
    for overlapping in ["10.1.0.0/16", "0.0.0.0/1"] {
        let (_, kind) = refused(&mut kernel, &range(80, overlapping));
        assert_eq!(kind, KernelErrorKind::Exists, "{overlapping}");
    }
    kernel.perform(&range(80, "11.0.0.0/8")).unwrap();
    kernel.perform(&range(81, "10.1.0.0/16")).unwrap();
}

/// A kernel with a table in which a set is of another type, or missing.
#[test]
fn the_type_of_a_set_is_checked() {
    let mut state = with_table().state();
    let table = state.tables.v4.as_mut().unwrap();
    for set in &mut table.structure.sets {
        if set.name == SetId::ServiceMarks.as_str() {
            set.data_type = Some(nftables_netlink::DataType::VERDICT);
        }
    }
    table
        .structure
        .sets
        .retain(|set| set.name != SetId::Hairpin.as_str());
    let mut kernel = MemoryKernel::holding(&state);
    let (_, kind) = refused(&mut kernel, &add(Element::ServiceMark(at(80), 1)));
    assert_eq!(kind, KernelErrorKind::Invalid);
    let (_, kind) = refused(&mut kernel, &add(Element::Hairpin([10, 0, 0, 7].into())));
    assert_eq!(kind, KernelErrorKind::Missing);
    // Written anew it is as it should be.
    kernel.perform(&written()).unwrap();
    assert_eq!(kernel.state(), with_table().state());
}

#[test]
fn routing_is_there_once() {
    let routing = Routing::of(&Options::default(), [V4]);
    let (rule, route) = (routing.rules[0], routing.routes[0]);
    let mut kernel = MemoryKernel::new();
    for (add, delete) in [
        (
            Operation::AddRoutingRule(rule),
            Operation::DeleteRoutingRule(rule),
        ),
        (Operation::AddRoute(route), Operation::DeleteRoute(route)),
    ] {
        let of = |kind| (KernelPart::Routing, kind);
        assert_eq!(refused(&mut kernel, &delete), of(KernelErrorKind::Missing));
        kernel.perform(&add).unwrap();
        assert_eq!(refused(&mut kernel, &add), of(KernelErrorKind::Exists));
        kernel.perform(&delete).unwrap();
    }
    assert_eq!(kernel.state(), MemoryKernel::new().state());
}

/// A plan that adds cluster IPs to a table as it was planned.
fn adding(count: u8) -> Plan {
    let mut desired = Desired::new(Layout::Nftables, Ownership::Only([].into()));
    desired.link = false;
    let elements = (0..count).map(|n| Element::ClusterIp([10, 0, 0, n].into()));
    desired.tables.v4 = Some(proxier::DesiredTable::new(
        TableRules::new(V4),
        elements.collect(),
    ));
    let mut found: Observed = with_table().state();
    found.sysctls.clear();
    reconcile(&desired, &found)
}

/// A transaction is whole or not at all; one element that the kernel refuses does not stop the others for long.
#[test]
fn a_plan_goes_on_without_the_element_at_fault() {
    use proxier::Kernel;

    let plan = adding(100);
    assert_eq!(plan.len(), 100);
    let mut kernel = with_table();
    // Somebody was faster with one of them.
    let early = Element::ClusterIp([10, 0, 0, 42].into());
    kernel.perform(&add(early)).unwrap();
    let applied = kernel.apply(&plan);
    assert_eq!((applied.done, applied.failures.len()), (99, 1));
    assert_eq!(applied.failures[0].operation, add(early));
    assert_eq!(kernel.state().tables.v4.unwrap().elements.len(), 100);

    // Where the fault is none of an element's, nothing is tried again.
    let mut kernel = with_table();
    kernel.permit_changes(false);
    let applied = kernel.apply(&plan);
    assert_eq!((applied.done, applied.failures.len()), (0, 100));
    assert!(kernel.state().tables.v4.unwrap().elements.is_empty());
}

/// Both families go in one transaction; where the kernel lacks what one of them takes, it still gets the other.
#[test]
fn a_family_that_is_refused_does_not_stop_the_other() {
    let mut desired = Desired::new(Layout::Nftables, Ownership::Only([].into()));
    for family in Family::ALL {
        let table = proxier::DesiredTable::new(TableRules::new(family), Vec::new());
        *desired.tables.get_mut(family) = Some(table);
    }
    let plan = reconcile(&desired, &MemoryKernel::new().state());
    let outcome = |kind| {
        let mut runs = Vec::new();
        let together = |_: &Operation, next: &Operation| next.table().is_some();
        let applied = proxier::kernel::carry_out(&plan, together, |operations| {
            let families: Vec<_> = operations.iter().filter_map(|one| one.table()).collect();
            let refused = families.contains(&Family::V6);
            if !families.is_empty() {
                runs.push(families);
            }
            let error = KernelError::new(KernelPart::Nftables, kind, "no");
            let result = if refused { Err(error) } else { Ok(()) };
            operations.iter().map(|_| result.clone()).collect()
        });
        (runs, applied.failures.len())
    };
    let (both, four, six) = (Family::ALL.to_vec(), vec![V4], vec![Family::V6]);
    assert_eq!(
        outcome(KernelErrorKind::Unsupported),
        (vec![both.clone(), four, six], 1)
    );
    // It may have been carried out: that is for the next look at the kernel.
    assert_eq!(outcome(KernelErrorKind::Unknown), (vec![both], 2));
}
