//! Others and we change the kernel at the same time.

use super::*;

/// A kernel that is in force, after a quiet time.
fn quiet() -> Fixture {
    quieted(Fixture::new())
}

fn quieted(mut fixture: Fixture) -> Fixture {
    fixture.take_all();
    fixture.next();
    fixture.pass(Duration::from_secs(5));
    while fixture.step().is_some() {}
    fixture
}

/// Of what we are about to change, too, since nobody could tell afterwards.
#[test]
fn what_others_changed_of_what_we_are_about_to_change_is_mended_with_it() {
    let mut fixture = quiet();
    clear(&mut fixture.syncer.machine, |state| state.servers.clear());
    fixture.empty();
    assert_eq!(fixture.step().unwrap().task, Task::Full);
    assert_eq!(fixture.syncer.machine().server_counts(), (1, 0));
}

/// It does not keep our change waiting.
#[test]
fn what_others_changed_elsewhere_is_mended_at_the_next_look() {
    let mut fixture = quiet();
    let before = fixture.syncer.machine().state().rules;
    clear(&mut fixture.syncer.machine, |state| {
        state.rules = Default::default();
    });
    fixture.take(Change::Slice(Box::new(another_endpoint(&fixture))));
    assert_eq!(fixture.step().unwrap().task, Task::Changes);
    assert_eq!(fixture.syncer.machine().server_counts(), (1, 2));
    let changed = fixture.now.get();
    assert_eq!(fixture.next().task, Task::Full);
    assert!(fixture.now.get() - changed <= Duration::from_secs(1));
    assert_eq!(fixture.syncer.machine().state().rules, before);
}

/// What the plans after the first one change is not known when that is carried out.
#[test]
fn what_others_changed_anywhere_is_mended_before_a_plan_that_others_follow() {
    let mut fixture = Fixture::new();
    fixture.cluster = many(244);
    let mut fixture = quieted(fixture);
    clear(&mut fixture.syncer.machine, |state| {
        state.rules = Default::default();
    });
    for slice in many(245).slices.into_values() {
        fixture.take(Change::Slice(Box::new(slice)));
    }
    assert_eq!(fixture.step().unwrap().task, Task::Full);
}

/// The slice with one endpoint more.
fn another_endpoint(fixture: &Fixture) -> EndpointSlice {
    let mut slice = fixture.cluster.slices.values().next().unwrap().clone();
    let more = Endpoint::ready("10.244.1.6".parse().unwrap());
    slice.endpoints.push(more);
    slice
}

/// What a look at those that drain deletes is our doing as well.
#[test]
fn what_drained_is_nobody_elses_change() {
    // The full comparison of each period finds it idle as well: only one is made.
    let mut config = Config::default();
    config.sync_period = Duration::from_secs(36_000);
    let mut fixture = Fixture::new();
    let now = fixture.now.get();
    fixture.syncer.take(Event::Config(Box::new(config)), now);
    fixture.take_all();
    fixture.next();
    let (server, destination) = {
        let state = fixture.syncer.machine().state();
        let server = state.servers.first().unwrap();
        let destination = server.destinations.first().unwrap().destination.id;
        (server.id, destination)
    };
    let connections = |active| Connections {
        active,
        ..Connections::default()
    };
    let kernel = &mut fixture.syncer.machine;
    kernel.set_connections(&server, &destination, connections(1));
    fixture.empty();
    assert_eq!(fixture.next().draining, 1);
    let kernel = &mut fixture.syncer.machine;
    kernel.set_connections(&server, &destination, connections(0));
    assert_eq!(fixture.next().task, Task::Drain);
    assert_eq!(fixture.syncer.machine().server_counts(), (1, 0));
    let drained = fixture.now.get();
    assert_eq!(fixture.next().task, Task::Full);
    assert!(fixture.now.get() - drained > Duration::from_secs(3600));
}
