//! Bodies of the fuzz targets. Each takes any bytes and must not panic. The same bytes are read the same way
//! again, and a node that gets what was read needs no second plan. `cargo test` replays the seeds in `corpus/`.

use std::sync::LazyLock;

use crate::Names;
#[cfg(feature = "protobuf")]
use crate::ObjectError;
use crate::json::PlainObject;
use crate::list::ListKind;
#[cfg(feature = "protobuf")]
use crate::protobuf::{EncodedObject, Event, ListReader};
use crate::snapshot::Snapshot;
use crate::{ObjectReading, read_cluster, read_config, read_links, read_object};
use proxier::Observed;
use proxier::cluster::{Change, Cluster, Host};
use proxier::{Config, Kernel, Layout, MemoryKernel, Operation, reconcile, translate};

/// What the targets use that read something else.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    read_cluster("seed", include_bytes!("../corpus/manifests/dual-stack")).cluster
});

/// Kubernetes objects.
pub fn manifests(bytes: &[u8]) {
    let read = read_cluster("fuzz", bytes);
    let again = read_cluster("fuzz", bytes);
    assert_eq!(
        (&read.cluster, &read.diagnostics),
        (&again.cluster, &again.diagnostics)
    );
    for diagnostic in &read.diagnostics {
        let text = diagnostic.to_string();
        assert!(!text.is_empty() && !text.contains(char::is_control));
    }
    if read.used == 0 {
        // What a node without Services does is the same every time.
        return;
    }
    for layout in [Layout::Current, Layout::Classic] {
        settles(&read.cluster, &node(), &Config::with_layout(layout));
    }
}

/// One object, as a watch returns it, added to a cluster and removed again.
pub fn object(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
        return;
    };
    let read = read_object(value.clone());
    assert_eq!(read, read_object(value));
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    for kind in ListKind::ALL {
        let plain = PlainObject::item(kind, text).map(|plain| plain.read(&mut Names::default()));
        if let Some(plain) = plain {
            let mut value = serde_json::from_slice(bytes).unwrap_or_default();
            kind.complete(&mut value);
            assert_eq!(plain, read_object(value));
        }
    }
    let object = match read {
        Ok(ObjectReading {
            object: Some(object),
            ..
        }) => object,
        Ok(_) => return,
        Err(error) => {
            assert!(!error.reason.is_empty(), "{error:?}");
            return;
        }
    };
    let (goes, comes) = (object.gone(), Change::from(object));
    let mut cluster = CLUSTER.clone();
    cluster.change(comes);
    settles(&cluster, &node(), &Config::default());
    let mut without = CLUSTER.clone();
    without.change(goes.clone());
    cluster.change(goes);
    assert_eq!(cluster, without);
}

/// Bytes as a list, as an event and as an object in protobuf.
#[cfg(feature = "protobuf")]
pub fn protobuf(bytes: &[u8]) {
    for kind in ListKind::ALL {
        let whole = protobuf_list(kind, bytes, bytes.len().max(1));
        let pieces = protobuf_list(kind, bytes, 7);
        assert_eq!(whole, pieces);
        let object = match Event::decode(kind, bytes) {
            Ok(Event::Object(_, object)) => object,
            Ok(Event::Failed(_)) => continue,
            Err(error) => {
                assert!(!error.to_string().contains(char::is_control));
                EncodedObject::enveloped(kind, bytes)
            }
        };
        let name = object.name();
        let read = object.clone().read(&mut Names::default());
        assert_eq!(object.read(&mut Names::default()), read);
        match read {
            Ok(ObjectReading {
                object: Some(object),
                ..
            }) => {
                assert_eq!(
                    (object.kind(), object.name().name()),
                    (kind.item_kind(), name)
                );
                let mut cluster = CLUSTER.clone();
                cluster.change(Change::from(object));
                settles(&cluster, &node(), &Config::default());
            }
            Ok(_) => {}
            Err(error) => assert!(!error.reason.is_empty(), "{error:?}"),
        }
    }
}

/// What the items of a list are read to, and whether it is one.
#[cfg(feature = "protobuf")]
fn protobuf_list(
    kind: ListKind,
    bytes: &[u8],
    size: usize,
) -> (Vec<Result<ObjectReading, ObjectError>>, bool) {
    let mut reader = ListReader::new(kind, 1 << 20);
    let mut items = Vec::new();
    for piece in bytes.chunks(size) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(item)) => items.push(item.read(&mut Names::default())),
                Ok(None) => break,
                Err(_) => return (items, false),
            }
        }
    }
    (items, reader.finish().is_ok())
}

/// A `KubeProxyConfiguration`.
pub fn config(bytes: &[u8]) {
    let read = read_config("fuzz", bytes);
    let again = read_config("fuzz", bytes);
    assert_eq!(format!("{read:?}"), format!("{again:?}"));
    let Ok(mut config) = read else {
        return;
    };
    for layout in [Layout::Current, Layout::Classic] {
        config.layout = layout;
        if config.check().is_ok() {
            settles(&CLUSTER, &node(), &config);
        }
    }
}

/// The links of a node.
pub fn links(bytes: &[u8]) {
    let read = read_links("fuzz", bytes);
    assert_eq!(read, read_links("fuzz", bytes));
    if let Ok(links) = read {
        let mut host = node();
        host.links = links;
        settles(&CLUSTER, &host, &Config::default());
    }
}

/// A kernel state as JSON.
pub fn snapshot(bytes: &[u8]) {
    let Ok(snapshot) = serde_json::from_slice::<Snapshot>(bytes) else {
        return;
    };
    let Ok(mut state) = snapshot.state() else {
        return;
    };
    for set in state.sets.values_mut() {
        set.spec = set.spec.portable();
    }
    let written = Snapshot::of(&state);
    assert_eq!(written.state().as_ref(), Ok(&state), "{written:?}");
    // What the file has twice, a kernel holds once.
    let held = MemoryKernel::holding(&state).state();
    assert_eq!(MemoryKernel::holding(&held).state(), held);
    settles_from(&held);
}

fn node() -> Host {
    let mut host = Host::new("node-a");
    let yaml = include_bytes!("../corpus/links/two");
    host.links = read_links("seed", yaml).unwrap_or_default();
    host
}

/// An untouched kernel takes all of a plan, and then nothing is left to do. A scheduler whose module it has
/// not got costs the virtual servers, and nothing else.
fn settles(cluster: &Cluster, host: &Host, config: &Config) {
    let desired = translate(cluster, host, config);
    assert_eq!(desired, translate(cluster, host, config));
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired, &kernel.state());
    let failures = kernel.apply(&plan).failures;
    let left = reconcile(&desired, &kernel.state());
    if MemoryKernel::SCHEDULERS.contains(&config.scheduler.as_str()) {
        assert!(failures.is_empty(), "{failures:?}\n{plan}");
        assert!(left.is_empty(), "{left}");
    } else {
        let of_servers = |operation: &Operation| {
            matches!(
                operation,
                Operation::AddServer { .. }
                    | Operation::AddDestination { .. }
                    | Operation::BindAddress(_)
            )
        };
        let failed = failures.iter().map(|failure| &failure.operation);
        assert!(failed.clone().all(of_servers), "{failures:?}\n{plan}");
        assert!(failed.eq(left.iter().map(|(_, left)| left)), "{left}");
    }
}

/// The same of a kernel that held something before, if it takes all: what is somebody else's may be in
/// the way.
fn settles_from(state: &Observed) {
    let desired = translate(&CLUSTER, &node(), &Config::default());
    let mut kernel = MemoryKernel::holding(state);
    let plan = reconcile(&desired, state);
    let applied = kernel.apply(&plan);
    if applied.is_ok() {
        let left = reconcile(&desired, &kernel.state());
        assert!(left.is_empty(), "{plan}then\n{left}");
    }
}

#[cfg(test)]
mod tests {
    use netlink_wire::seeds;

    use super::*;

    /// Few places: each run translates and programs a cluster.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        assert!(seeds::replay(folder, 6, target).unwrap() > 0);
    }

    #[test]
    fn manifest_seeds() {
        replay("manifests", manifests);
    }

    #[test]
    fn object_seeds() {
        replay("object", object);
    }

    #[cfg(feature = "protobuf")]
    #[test]
    fn protobuf_seeds() {
        replay("protobuf", protobuf);
    }

    #[test]
    fn config_seeds() {
        replay("config", config);
    }

    #[test]
    fn link_seeds() {
        replay("links", links);
    }

    #[test]
    fn snapshot_seeds() {
        replay("snapshot", snapshot);
    }

    /// Seeds are of use only where they get past the first check.
    #[test]
    fn seeds_are_read() {
        assert!(CLUSTER.services.len() == 1 && CLUSTER.slices.len() == 2);
        assert_eq!(node().links.iter().count(), 2);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/object");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert!(read_object(value).unwrap().object.is_some(), "{path:?}");
        }
    }
}
