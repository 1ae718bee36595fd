//! What the kernel refuses.

use super::*;

#[test]
fn what_fails_is_tried_again() {
    let mut fixture = Fixture::new();
    let fails = |operation: &Operation| {
        matches!(operation, Operation::AddDestination { .. }).then(|| {
            KernelError::new(
                KernelPart::Ipvs,
                KernelErrorKind::Other,
                "no destinations today",
            )
        })
    };
    fixture.syncer.machine.fail_with(Some(Box::new(fails)));
    fixture.take_all();
    let slice = fixture.cluster.slices.values().next().unwrap().clone();
    fixture.take(Change::Slice(Box::new(slice)));
    let report = fixture.next();
    assert!(!report.is_ok());
    assert_eq!(report.programmed, []);
    let began = fixture.now.get();
    assert!(!fixture.next().is_ok());
    assert_eq!(fixture.now.get() - began, Duration::from_secs(1));
    fixture.syncer.machine.fail_with(None);
    let report = fixture.next();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.programmed.len(), 1);
    assert_eq!(fixture.destinations().len(), 1);
}

/// What is refused for one object is that object's trouble: the rest counts as synced.
#[test]
fn one_refused_object_blocks_nothing() {
    let mut fixture = Fixture::new();
    let slice = fixture.cluster.slices.values().next().unwrap().clone();
    let refused = slice.endpoints[0].address;
    let fails = move |operation: &Operation| {
        matches!(operation, Operation::AddDestination { destination, .. } if destination.id.address == refused)
            .then(|| KernelError::new(KernelPart::Ipvs, KernelErrorKind::Other, "not this one"))
    };
    fixture.syncer.machine.fail_with(Some(Box::new(fails)));
    fixture.take_all();
    let mut other = slice.clone();
    other.name = ObjectName::new("default", "web-2");
    other.endpoints[0].address = "10.244.1.6".parse().unwrap();
    // The refused one changes again and again.
    for _ in 0..100 {
        fixture.take(Change::Slice(Box::new(slice.clone())));
    }
    fixture.take(Change::Slice(Box::new(other)));
    let report = fixture.next();
    assert!(!report.is_ok() && !report.blocked, "{report:?}");
    assert_eq!(report.programmed.len(), 1);
    assert_eq!(fixture.destinations().len(), 1);
    assert_eq!(fixture.syncer.triggers.len(), 1);
    // What all Services share is another matter.
    let fails = |operation: &Operation| {
        matches!(operation, Operation::RestoreRules(_))
            .then(|| KernelError::new(KernelPart::Rules, KernelErrorKind::Other, "no rules today"))
    };
    fixture.syncer.machine = MemoryKernel::new();
    fixture.syncer.machine.fail_with(Some(Box::new(fails)));
    fixture.take(Change::Slice(Box::new(slice)));
    let mut report = fixture.next();
    while report.task != Task::Full {
        report = fixture.next();
    }
    assert!(report.blocked, "{report:?}");
}
