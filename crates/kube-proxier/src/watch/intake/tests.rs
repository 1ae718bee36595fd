use proxier::cluster::Cluster;
use serde_json::{Value, json};

use super::nodes::TO_BE_DELETED;
use super::*;

fn intake(kind: Kind) -> Intake {
    Intake::new(kind, Arc::default())
}

fn service(name: &str, port: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": port}]}})
}

fn list(intake: &mut Intake, items: impl IntoIterator<Item = Value>) -> Vec<Change> {
    intake.begin_list();
    for item in items {
        intake.list_item(item);
    }
    changes(intake.end_list())
}

fn changes(events: impl IntoIterator<Item = Event>) -> Vec<Change> {
    let change = |event| match event {
        Event::Cluster { change, .. } => Some(change),
        _ => None,
    };
    events.into_iter().filter_map(change).collect()
}

fn ports(cluster: &Cluster) -> Vec<(&str, u16)> {
    let port = |s: &proxier::cluster::Service| s.ports[0].port.get();
    let services = cluster.services.values();
    services.map(|s| (s.name.name(), port(s))).collect()
}

#[test]
fn a_bad_object_stops_no_other_and_its_last_usable_version_stays() {
    let mut intake = intake(Kind::Services);
    let mut cluster = Cluster::default();
    for change in list(
        &mut intake,
        [service("a", 1), service("bad", 70_000), service("b", 2)],
    ) {
        cluster.change(change);
    }
    assert_eq!(ports(&cluster), [("a", 1), ("b", 2)]);
    assert!(intake.applied(service("a", 70_000)).is_empty());
    // Listed anew while it is still bad: it stays, what vanished goes, what is new comes.
    let again = list(&mut intake, [service("a", 70_000), service("c", 3)]);
    assert!(!again.iter().any(|c| matches!(c, Change::Services(_))));
    for change in again {
        cluster.change(change);
    }
    assert_eq!(ports(&cluster), [("a", 1), ("c", 3)]);
    // And listed without it, it is gone.
    for change in list(&mut intake, [service("c", 3)]) {
        cluster.change(change);
    }
    assert_eq!(ports(&cluster), [("c", 3)]);
    assert_eq!(intake.counters.refused(), 3);
}

#[test]
fn objects_are_counted_while_they_are_bad() {
    let counters = Arc::<Counters>::default();
    let mut services = Intake::new(Kind::Services, Arc::clone(&counters));
    let mut slices = Intake::new(Kind::Slices, Arc::clone(&counters));
    let bad_slice = json!({
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["no address"]}]});
    list(&mut services, [service("a", 1), service("bad", 0)]);
    list(&mut slices, [bad_slice]);
    assert_eq!(counters.refused_objects(), 2);
    services.applied(service("a", 0));
    services.applied(service("a", 70_000));
    assert_eq!(counters.refused_objects(), 3);
    // Listed again they are the same ones.
    list(&mut services, [service("a", 0), service("bad", 0)]);
    assert_eq!(counters.refused_objects(), 3);
    services.applied(service("a", 2));
    services.gone(service("bad", 0));
    assert_eq!(counters.refused_objects(), 1);
    list(&mut slices, []);
    assert_eq!(counters.refused_objects(), 0);
    assert_eq!(counters.refused(), 6);
}

#[test]
fn a_list_that_lacks_more_than_half_of_what_was_known_is_a_warning_with_counts() {
    let mut intake = intake(Kind::Services);
    let mut logged = |names: &str| {
        let services = names.split(' ').map(|name| service(name, 80));
        crate::logging::tests::captured(|| drop(list(&mut intake, services)))
    };
    assert_eq!(logged("a b c d e f"), "", "nothing was known");
    assert_eq!(logged("a b c"), "", "half of them");
    assert_eq!(logged("a b d e f g"), "", "one of three");
    let warning = logged("a x y z");
    assert_eq!(warning.lines().count(), 1, "{warning}");
    for part in [
        "WARN",
        "more than half",
        "kind=\"Service\"",
        "known=6",
        "removed=5",
        "listed=4",
    ] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

#[test]
fn what_is_gone_is_said_once_and_only_of_what_was_sent() {
    let mut intake = intake(Kind::Services);
    list(&mut intake, [service("a", 1), service("bad", 0)]);
    assert_eq!(
        changes(intake.gone(service("a", 1))),
        [Change::ServiceGone(ObjectName::new("shop", "a"))]
    );
    assert!(intake.gone(service("a", 1)).is_none());
    assert!(intake.gone(service("bad", 0)).is_none());
}

#[test]
fn nothing_in_an_object_spoils_a_list() {
    let mut intake = intake(Kind::Slices);
    let odd = [
        json!(null),
        json!([1]),
        json!({}),
        json!({"metadata": 7}),
        json!({"metadata": {"name": 7, "labels": {"a": 1}}}),
        json!({"addressType": "IPv4", "metadata": {"labels": {"kubernetes.io/service-name": "web"}}}),
    ];
    let good = json!({"addressType": "IPv4", "metadata": {
        "name": "web-1", "labels": {"kubernetes.io/service-name": "web", "odd": 5}}});
    let changes = list(&mut intake, odd.into_iter().chain([good]));
    let [Change::Slices(slices)] = &*changes else {
        panic!("{changes:?}");
    };
    assert_eq!(slices.len(), 1);
}

#[test]
fn a_slice_that_no_longer_belongs_to_a_service_is_gone() {
    let slice = |label: &str| {
        json!({"addressType": "IPv4", "metadata": {
            "name": "web-1", "labels": {label: "web"},
            "annotations": {LAST_CHANGE_TRIGGER_TIME: "2026-01-31T12:00:00.5Z"}}})
    };
    let mut intake = intake(Kind::Slices);
    list(&mut intake, [slice("kubernetes.io/service-name")]);
    let events = intake.applied(slice("other"));
    let [Event::Cluster { change, triggered }] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!(
        *change,
        Change::SliceGone(ObjectName::new("default", "web-1"))
    );
    let since = triggered.unwrap().duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(since.unwrap().as_millis(), 1_769_860_800_500);
}

#[test]
fn only_what_changes_of_this_node_is_said() {
    let node = |name: &str, zone: &str, beat: u32, taint: &str| {
        json!({
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
            "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]},
            "status": {"conditions": [{"lastHeartbeatTime": beat}]}})
    };
    let mut intake = intake(Kind::Node("a".into()));
    intake.begin_list();
    intake.list_item(node("b", "z", 0, ""));
    intake.list_item(node("a", "z", 0, ""));
    let events = intake.end_list();
    assert!(
        matches!(
            &*events,
            [
                Event::Cluster { change: Change::Nodes(nodes), .. },
                Event::NodeDeleting(false)
            ] if nodes.len() == 1
        ),
        "{events:?}"
    );
    assert!(intake.applied(node("a", "z", 1, "")).is_empty());
    assert!(intake.applied(node("b", "y", 1, TO_BE_DELETED)).is_empty());
    assert_eq!(
        intake.applied(node("a", "z", 2, TO_BE_DELETED)),
        [Event::NodeDeleting(true)]
    );
    assert_eq!(
        changes(intake.applied(node("a", "y", 3, TO_BE_DELETED))).len(),
        1
    );
    assert!(list(&mut intake, [node("a", "y", 4, TO_BE_DELETED)]).is_empty());
    assert_eq!(
        changes(intake.gone(node("a", "y", 4, ""))),
        [Change::NodeGone("a".into())]
    );
    assert_eq!(changes(intake.applied(node("a", "y", 5, ""))).len(), 1);
}

#[test]
fn a_node_that_is_being_deleted_counts_as_tainted() {
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-31T12:00:00Z"}});
    assert!(is_deleting(&deleted.into()));
    let other = json!({"metadata": {}, "spec": {"taints": null}});
    assert!(!is_deleting(&other.into()));
}

/// Versions of an object that come while it is listed, as events of a streamed list.
#[test]
fn the_last_version_in_a_list_is_the_one_that_counts() {
    let mut intake = intake(Kind::Services);
    let mut cluster = Cluster::default();
    let gone = |name: &str| Item::from(service(name, 0));
    intake.begin_list();
    for (name, port) in [
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("d", 70_000),
        ("a", 4),
        ("b", 70_000),
        ("d", 5),
    ] {
        intake.list_item(service(name, port));
    }
    intake.list_gone(&gone("c"));
    intake.list_gone(&gone("never"));
    for (name, port) in [("e", 6), ("f", 70_000), ("g", 7)] {
        intake.list_item(service(name, port));
    }
    intake.list_gone(&gone("f"));
    intake.list_gone(&gone("g"));
    intake.list_item(service("g", 8));
    for change in changes(intake.end_list()) {
        cluster.change(change);
    }
    let expected = [("a", 4), ("b", 2), ("d", 5), ("e", 6), ("g", 8)];
    assert_eq!(ports(&cluster), expected);
    // The last version of b cannot be used.
    assert_eq!(intake.counters.refused_objects(), 1);
    // Known from before: it stays where its new version cannot be used, and goes where it is gone.
    intake.begin_list();
    for name in ["a", "b", "d"] {
        intake.list_item(service(name, 70_000));
    }
    intake.list_gone(&gone("d"));
    for change in changes(intake.end_list()) {
        cluster.change(change);
    }
    assert_eq!(ports(&cluster), [("a", 4), ("b", 2)]);
}

/// A list is large: neither names nor room are had twice.
#[test]
fn a_list_is_kept_once() {
    let mut intake = intake(Kind::Services);
    let services = (0..100).map(|n| service(&format!("web-{n}"), 80));
    let changes = list(&mut intake, services);
    let [Change::Services(sent)] = &*changes else {
        panic!("{changes:?}");
    };
    assert_eq!((sent.len(), sent.capacity()), (100, 100));
    for service in sent {
        let known = intake.known.get(&service.name).unwrap();
        assert_eq!(known.name().as_ptr(), service.name.name().as_ptr());
    }
    let sent = intake.applied(service("new", 80));
    let [
        Event::Cluster {
            change: Change::Service(new),
            ..
        },
    ] = &*sent
    else {
        panic!("{sent:?}");
    };
    let known = intake.known.get(&new.name).unwrap();
    assert_eq!(known.name().as_ptr(), new.name.name().as_ptr());
}
