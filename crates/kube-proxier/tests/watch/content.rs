//! What is sent of what there is.

use std::time::{Duration, UNIX_EPOCH};

use kube_proxier::Event;
use kube_proxier::watch::Timing;
use proxier::cluster::{Change, ObjectName};
use serde_json::json;

use crate::api_server::Asked;
use crate::each::{Api, on_each};
use crate::objects::{
    NODE, NODES, SERVICES, SLICES, headless_service, labelled, node, service, slice,
};
use crate::watched::{Watched, timing};

fn the_first_event_of_each_kind_is_its_whole_list(api: Api) {
    let server = api.start();
    server.apply_step([
        service("web", 80),
        slice("web-1", "10.1.0.1"),
        slice("web-2", "10.1.0.2"),
        node(NODE),
    ]);
    server.hold_lists(SLICES);
    let mut watched = Watched::start(&server, timing());
    // The others are watched already, which they are only once their lists are sent.
    server.wait_for_watches(2);
    watched.until("two lists", |w| w.changes().count() == 2);
    assert!(!watched.changes().any(|c| matches!(c, Change::Slices(_))));
    server.release();
    watched.until("slices", |w| w.cluster.slices.len() == 2);
    let lists = watched.changes().filter(|change| {
        matches!(
            change,
            Change::Services(_) | Change::Slices(_) | Change::Nodes(_)
        )
    });
    assert_eq!(lists.count(), 3);
    assert_eq!(watched.changes().count(), 3);
    assert_eq!(watched.counters.lists(), 3);
}

fn changes_follow_one_by_one(api: Api) {
    let server = api.start();
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    let mut watched = Watched::settled(&server, timing());
    server.put(service("new", 81));
    watched.until("an addition", |w| {
        w.services() == [("new", 81), ("web", 80)]
    });
    server.put(service("new", 82));
    watched.until("a change", |w| w.services() == [("new", 82), ("web", 80)]);
    server.delete(&service("web", 80));
    watched.until("a deletion", |w| w.services() == [("new", 82)]);
    server.put(slice("web-1", "10.1.0.9"));
    watched.until("an endpoint", |w| {
        let slice = w.cluster.slices.values().next().unwrap();
        slice.endpoints[0].address.to_string() == "10.1.0.9"
    });
    let Some(Event::Cluster { triggered, .. }) = watched.events.last() else {
        panic!("{:?}", watched.events);
    };
    let noon = UNIX_EPOCH + Duration::from_secs(1_769_860_800);
    assert_eq!(*triggered, Some(noon));
    server.delete(&slice("web-1", ""));
    watched.until("no slice", |w| w.cluster.slices.is_empty());
    assert_eq!(watched.counters.lists(), 3);
}

fn selectors_are_kube_proxys(api: Api) {
    let proxy = "service.kubernetes.io/service-proxy-name";
    let headless = "service.kubernetes.io/headless";
    let server = api.start();
    server.apply_step([
        service("web", 80),
        labelled(service("others", 80), proxy),
        slice("web-1", "10.1.0.1"),
        labelled(slice("others-1", "10.1.0.2"), proxy),
        labelled(slice("headless-1", "10.1.0.3"), headless),
        headless_service("headless"),
        node(NODE),
        node("node-b"),
    ]);
    let mut watched = Watched::settled(&server, timing());
    assert_eq!(watched.services(), [("web", 80)]);
    assert_eq!(watched.cluster.slices.len(), 1);
    assert_eq!(watched.cluster.nodes.len(), 1);
    for asked in server.requests() {
        let (labels, fields) = match &*asked.path {
            SERVICES => (
                Some(format!("!{proxy}")),
                Some("spec.clusterIP!=None".to_owned()),
            ),
            SLICES => (Some(format!("!{proxy},!{headless}")), None),
            NODES => (None, Some(format!("metadata.name={NODE}"))),
            other => panic!("{other}"),
        };
        assert_eq!(asked.get("labelSelector"), labels.as_deref(), "{asked:?}");
        assert_eq!(asked.get("fieldSelector"), fields.as_deref(), "{asked:?}");
    }
    // A Service that is given to another proxy is gone for this one.
    server.put(labelled(service("web", 80), proxy));
    watched.until("none of ours", |w| w.services().is_empty());
    server.put(service("others", 80));
    watched.until("one of ours", |w| w.services() == [("others", 80)]);
}

fn lists_come_in_pages(api: Api) {
    let server = api.start();
    server.without_cache();
    let names: Vec<_> = (0..7).map(|n| format!("web-{n}")).collect();
    server.apply_step(names.iter().map(|name| service(name, 80)));
    let timing = Timing {
        page: 2,
        ..timing()
    };
    let watched = Watched::settled(&server, timing);
    assert_eq!(watched.services().len(), 7);
    let pages = server.requests();
    let pages = pages
        .iter()
        .filter(|asked| asked.path == SERVICES && !asked.is_watch());
    let continued: Vec<_> = pages
        .inspect(|asked| assert_eq!(asked.get("limit"), Some("2")))
        .map(|asked| asked.get("continue").is_some())
        .collect();
    assert_eq!(continued, [false, true, true, true]);
    assert_eq!(watched.counters.lists(), 3);
}

/// Ten thousand Services come in pages, and as one event, to whoever has no room for more than one.
fn a_large_list_is_paged_and_waits_for_nobody(api: Api) {
    const COUNT: usize = 10_000;
    let server = api.start();
    server.without_cache();
    let services = (0..COUNT).map(|n| service(&format!("web-{n}"), 80));
    server.apply_step(services.chain([node(NODE)]));
    let mut watched = Watched::start_slow(&server, timing(), 1);
    let listed = |asked: &[Asked]| {
        let lists = asked.iter().filter(|a| a.path == SERVICES && !a.is_watch());
        lists.count()
    };
    // Nothing has been received yet, so nothing is held up but by what is not taken.
    server.wait_for_requests(|asked| listed(asked) == COUNT / 500);
    watched.until("all Services", |w| w.cluster.services.len() == COUNT);
    let whole = watched
        .changes()
        .filter(|change| matches!(change, Change::Services(_)));
    assert_eq!(whole.count(), 1);
    let asked = server.requests();
    let pages = asked.iter().filter(|a| a.path == SERVICES && !a.is_watch());
    for (number, page) in pages.enumerate() {
        assert_eq!(page.get("limit"), Some("500"));
        assert_eq!(page.get("continue").is_some(), number > 0, "{page:?}");
    }
    // Away, and with other Services back, of which it cannot say how they came to be: listed again, one event again.
    server.wait_for_watches(3);
    server.stop();
    let services = (0..COUNT).map(|n| service(&format!("new-{n}"), 80));
    server.apply_step(services.chain([node(NODE)]));
    server.compact();
    server.come_back();
    let new = |w: &Watched| {
        w.services()
            .iter()
            .all(|(name, _)| name.starts_with("new-"))
    };
    watched.until("the others", new);
    assert_eq!(watched.services().len(), COUNT);
    let all = watched.changes();
    let wholes = all.filter(|change| matches!(change, Change::Services(_)));
    assert_eq!(wholes.count(), 2);
    // One by one, too, where each is an event.
    server.wait_for_watches(3);
    server.apply_step([node(NODE)]);
    watched.until("none", |w| w.cluster.services.is_empty());
}

fn a_bad_object_stops_no_other(api: Api) {
    let server = api.start();
    let mut odd = service("odd", 80);
    odd["metadata"]["labels"] = json!({"a": 7});
    odd["metadata"]["managedFields"] = "no list".into();
    let mut mad = service("mad", 80);
    mad["spec"]["ports"] = "no list".into();
    server.apply_step([odd, mad, service("bad", 70_000), service("web", 80)]);
    let mut watched = Watched::settled(&server, timing());
    // What is of no concern may be as odd as it likes.
    assert_eq!(watched.services(), [("odd", 80), ("web", 80)]);
    assert_eq!(watched.counters.refused(), 2);
    // Changed to something bad: the last good version stays, and others go on.
    server.put(service("web", 70_000));
    server.put(service("next", 81));
    watched.until("the next one", |w| w.services().contains(&("next", 81)));
    assert_eq!(watched.services(), [("next", 81), ("odd", 80), ("web", 80)]);
    assert_eq!(watched.counters.refused(), 3);
    server.put(service("bad", 82));
    watched.until("the bad one made good", |w| {
        w.services().contains(&("bad", 82))
    });
    server.delete(&service("web", 0));
    watched.until("the last good version to go", |w| {
        !w.services().contains(&("web", 80))
    });
    assert_eq!(watched.counters.failures(), 0);
}

fn a_node_is_news_only_where_it_differs(api: Api) {
    let server = api.start();
    server.apply_step([node(NODE)]);
    let mut watched = Watched::settled(&server, timing());
    assert!(watched.events.contains(&Event::NodeDeleting(false)));
    let before = watched.events.len();
    let mut beat = node(NODE);
    beat["status"]["conditions"] = json!([{"type": "Ready", "lastHeartbeatTime": "now"}]);
    server.put(beat.clone());
    beat["spec"]["taints"] =
        json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]);
    server.put(beat.clone());
    watched.until("the taint", |w| {
        w.events.last() == Some(&Event::NodeDeleting(true))
    });
    assert_eq!(watched.events.len(), before + 1);
    beat["spec"]["taints"] = json!(null);
    beat["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "z"});
    server.put(beat);
    watched.until("the taint to go", |w| {
        w.events.last() == Some(&Event::NodeDeleting(false))
    });
    assert!(matches!(
        watched.changes().last(),
        Some(Change::Node(node)) if node.zone.as_deref() == Some("z")
    ));
    server.delete(&node(NODE));
    watched.until("the node to go", |w| w.cluster.nodes.is_empty());
    assert_eq!(
        watched.changes().last(),
        Some(&Change::NodeGone(ObjectName::new("", NODE).name().into()))
    );
}

on_each!(
    the_first_event_of_each_kind_is_its_whole_list,
    changes_follow_one_by_one,
    selectors_are_kube_proxys,
    lists_come_in_pages,
    a_large_list_is_paged_and_waits_for_nobody,
    a_bad_object_stops_no_other,
    a_node_is_news_only_where_it_differs,
);
