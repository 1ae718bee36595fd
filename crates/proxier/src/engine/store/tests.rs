#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::cluster::Family;

fn slice(name: &str, service: &str) -> EndpointSlice {
    EndpointSlice::new(ObjectName::new("default", name), service, Family::V4)
}

fn web() -> ObjectName {
    ObjectName::new("default", "web")
}

fn stale(store: &mut Store) -> Vec<String> {
    let names = store.take_stale(usize::MAX);
    names.iter().for_each(|name| {
        store.take(name);
    });
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_change_concerns_its_service_once() {
    let mut store = Store::default();
    store.put_slice(slice("b", "web"));
    store.put_service(Box::new(Service::new(web(), Vec::new())));
    store.put_slice(slice("a", "web"));
    assert_eq!(stale(&mut store), ["default/web"]);
    let (service, slices, _) = store.take(&web());
    assert!(service.is_some());
    let names: Vec<_> = slices.iter().map(|slice| slice.name.name()).collect();
    assert_eq!(names, ["a", "b"]);

    store.put_slice(slice("a", "web"));
    store.put_service(Box::new(Service::new(web(), Vec::new())));
    assert_eq!(stale(&mut store), [""; 0], "nothing changed");
}

#[test]
fn one_text_is_kept_of_a_name() {
    let text = |name: &ObjectName| name.name().as_ptr();
    for slice_first in [true, false] {
        let mut store = Store::default();
        let service = Box::new(Service::new(web(), Vec::new()));
        if slice_first {
            store.put_slice(slice("a", "web"));
            store.put_service(service);
        } else {
            store.put_service(service);
            store.put_slice(slice("a", "web"));
        }
        let (known, parts) = store.services.iter().next().unwrap();
        let owner = store.owners.values().next().unwrap();
        assert_eq!(text(&owner.service), text(known), "{slice_first}");
        let service = parts.service.as_ref().unwrap();
        assert_eq!(text(&service.name), text(known), "{slice_first}");
    }
}

#[test]
fn a_service_changes_once_and_not_with_its_slices() {
    let mut store = Store::default();
    let changed = |store: &mut Store| {
        let names = store.take_changed();
        stale(store);
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let service = |address: &str| {
        let address = address.parse().unwrap();
        Box::new(Service::new(web(), vec![address]))
    };
    store.put_service(service("10.0.0.7"));
    assert_eq!(changed(&mut store), ["default/web"]);
    store.put_slice(slice("a", "web"));
    store.put_service(service("10.0.0.7"));
    assert_eq!(changed(&mut store), [""; 0]);
    store.put_slice(slice("b", "web"));
    store.put_service(service("10.0.0.8"));
    store.remove_service(&web());
    assert_eq!(changed(&mut store), ["default/web"]);
}

#[test]
fn a_weight_alone_is_a_change() {
    let mut store = Store::default();
    let weighing = |weight| EndpointSlice {
        weight,
        ..slice("a", "web")
    };
    for weight in [None, Some(2), None] {
        store.put_slice(weighing(weight));
        assert_eq!(stale(&mut store), ["default/web"], "{weight:?}");
    }
}

#[test]
fn a_slice_that_changes_hands_concerns_both() {
    let mut store = Store::default();
    store.put_slice(slice("a", "web"));
    stale(&mut store);
    store.put_slice(slice("a", "other"));
    assert_eq!(stale(&mut store), ["default/web", "default/other"]);
    let (service, slices, _) = store.take(&web());
    assert_eq!((service, slices), (None, &[][..]));
    store.remove_slice(&ObjectName::new("default", "a"));
    assert_eq!(stale(&mut store), ["default/other"]);
    assert!(store.services.is_empty() && store.owners.is_empty());
}

#[test]
fn a_list_is_all_there_is() {
    let mut store = Store::default();
    store.put_service(Box::new(Service::new(web(), Vec::new())));
    store.put_slices(vec![slice("a", "web"), slice("b", "web")]);
    stale(&mut store);
    store.put_slices(vec![
        slice("b", "other"),
        slice("b", "web"),
        slice("c", "web"),
    ]);
    stale(&mut store);
    let mut names: Vec<_> = store.slices().map(|slice| slice.name.name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["b", "c"]);

    store.put_services(Vec::new());
    assert_eq!(stale(&mut store), ["default/web"]);
    assert_eq!(store.services().count(), 0);
    assert_eq!(store.take(&web()).1.len(), 2, "they wait for it");
}
