//! Objects and lists in protobuf, held against the same in JSON, and against what Kubernetes' own serializer wrote.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod objects;

use proptest::collection::vec;
use proptest::prelude::*;
use proxier_manifest::json::PlainObject;
use proxier_manifest::list::{List, ListError, ListKind};
use proxier_manifest::protobuf::{
    EncodedObject, Event, EventType, ListReader, Malformed, Status, encode,
};
use proxier_manifest::{Names, ObjectError, ObjectReading, read_object};
use serde_json::{Value, json};

use self::objects::{nodes, services, slices};

const FIXTURES: [(ListKind, &str, &[u8]); 3] = [
    (
        ListKind::Services,
        include_str!("../cases/protobuf/core.v1.Service.json"),
        include_bytes!("../cases/protobuf/core.v1.Service.pb"),
    ),
    (
        ListKind::EndpointSlices,
        include_str!("../cases/protobuf/discovery.k8s.io.v1.EndpointSlice.json"),
        include_bytes!("../cases/protobuf/discovery.k8s.io.v1.EndpointSlice.pb"),
    ),
    (
        ListKind::Nodes,
        include_str!("../cases/protobuf/core.v1.Node.json"),
        include_bytes!("../cases/protobuf/core.v1.Node.pb"),
    ),
];

fn in_json(kind: ListKind, mut object: Value) -> Result<ObjectReading, ObjectError> {
    kind.complete(&mut object);
    read_object(object)
}

fn in_protobuf(kind: ListKind, object: &Value) -> Result<ObjectReading, ObjectError> {
    let bytes = encode::item(object, kind.item_kind());
    EncodedObject::item(kind, &bytes).read(&mut Names::default())
}

/// The encoder of the tests writes what Kubernetes writes, to the byte, of what proxies need most of.
#[test]
fn the_encoder_writes_what_kubernetes_writes() {
    for (kind, json, expected) in &FIXTURES[..2] {
        let written = encode::object(&serde_json::from_str(json).unwrap());
        assert_eq!(written, *expected, "{kind:?}");
    }
}

#[test]
fn what_kubernetes_wrote_is_read_as_its_json_is() {
    for (kind, text, bytes) in FIXTURES {
        let object = EncodedObject::enveloped(kind, bytes);
        assert_eq!(object.name(), "nameValue");
        assert_eq!(object.namespace(), Some("namespaceValue"));
        assert_eq!(object.uid(), "uidValue");
        assert_eq!(object.resource_version(), Some("resourceVersionValue"));
        assert_eq!(
            object.annotation("annotationsKey"),
            Some("annotationsValue")
        );
        assert_eq!(object.annotation("annotations"), None);
        assert!(object.is_being_deleted());
        assert_eq!(object.has_taint("keyValue"), kind == ListKind::Nodes);
        assert_eq!(object.contradicts(), None);
        let json: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            object.read(&mut Names::default()),
            read_object(json.clone())
        );
        // Its texts are the names of its fields, so nothing of it can be used as it is. With values of the right kind:
        let json = text
            .replace("\"typeValue\"", "\"LoadBalancer\"")
            .replace("\"addressTypeValue\"", "\"IPv4\"")
            .replace("\"labelsKey\"", "\"kubernetes.io/service-name\"")
            .replace("\"sessionAffinityValue\"", "\"ClientIP\"")
            .replace("\"protocolValue\"", "\"SCTP\"");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(in_protobuf(kind, &json), in_json(kind, json));
    }
}

#[test]
fn a_status_is_read() {
    let bytes = include_bytes!("../cases/protobuf/core.v1.Status.pb");
    let status = Status::decode(bytes).unwrap();
    assert_eq!(
        (status.code, &*status.message, &*status.reason),
        (6, "messageValue", "reasonValue")
    );
    let service = FIXTURES[0].2;
    let error = Status::decode(service).unwrap_err().to_string();
    assert!(error.contains("Service"), "{error}");
}

/// Whatever a list is cut into, it is read alike; and what is cut off is never a list.
#[test]
fn a_list_is_read_in_pieces_of_any_size() {
    let items: Vec<_> = (0..20).map(|n| service(&format!("web-{n}"))).collect();
    let list = json!({"kind": "ServiceList", "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "continue": "more", "remainingItemCount": 3}, "items": items});
    let bytes = encode::list(&list);
    for size in [1, 2, 3, 7, 100, bytes.len()] {
        let (names, list) = read_list(&bytes, size).unwrap();
        assert_eq!(names.len(), 20);
        assert_eq!(names[19], "web-19");
        assert_eq!(
            (&*list.resource_version, list.continue_token.as_deref()),
            ("7", Some("more"))
        );
    }
    // All fields behind the content are empty.
    for cut in 0..bytes.len() - 4 {
        assert!(read_list(&bytes[..cut], 100).is_err(), "{cut}");
    }
    let mut more = bytes;
    more.push(0);
    assert!(read_list(&more, 100).is_err());
}

/// An item may have so many bytes and no more, and nothing is reserved for what only claims to be long.
#[test]
fn no_item_is_longer_than_the_limit() {
    let list = json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [service("web"), service(&"x".repeat(5000))]});
    let bytes = encode::list(&list);
    let error = read_list(&bytes, 100).unwrap_err().to_string();
    assert!(error.contains("more than 4000 bytes"), "{error}");
    let mut reader = ListReader::new(ListKind::Services, 4000);
    // An envelope of 2^60 bytes whose first item has 2^50.
    let head = [
        b"k8s\0".as_slice(),
        b"\x0a\x11\x0a\x02v1\x12\x0bServiceList",
    ]
    .concat();
    let claim = [
        head,
        b"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x10\x12\x80\x80\x80\x80\x80\x80\x80\x02".to_vec(),
    ]
    .concat();
    reader.push(&claim);
    assert!(reader.next().is_err());
}

#[test]
fn what_is_not_the_list_asked_for_is_refused_and_says_why() {
    let list = |kind: &str, version: &str, raw: &[u8]| encode::envelope(version, kind, raw);
    let meta = b"\x0a\x03\x12\x017";
    for (bytes, says) in [
        (list("PodList", "v1", meta), "its kind is \"PodList\""),
        (list("", "v1", meta), "it has no kind"),
        (list("ServiceList", "v2", meta), "its apiVersion is \"v2\""),
        (list("ServiceList", "", meta), "it has no apiVersion"),
        (
            list("ServiceList", "v1", b""),
            "it has no metadata.resourceVersion",
        ),
        (
            list("ServiceList", "v1", b"\x0a\x02\x12\x00"),
            "it has no metadata.resourceVersion",
        ),
        (
            list("ServiceList", "v1", b"\x0a\x05\x12\x017"),
            "longer than the list",
        ),
        (list("ServiceList", "v1", b"\x0b"), "it has no field here"),
        (b"{}".to_vec(), "it breaks off"),
        (b"{\"kind\":1}".to_vec(), "does not begin with"),
        (b"k8s\0".to_vec(), "it has no kind"),
        (Vec::new(), "it breaks off"),
        (
            include_bytes!("../cases/protobuf/core.v1.Status.pb").to_vec(),
            "it is a Status: messageValue",
        ),
    ] {
        let error = read_list(&bytes, 100).unwrap_err().to_string();
        assert!(error.contains(says), "{bytes:?}: {error}");
    }
}

/// A malformed entry costs that entry, a malformed object that object, whose name is known all the same.
#[test]
fn what_is_malformed_costs_no_more_than_itself() {
    let kind = ListKind::EndpointSlices;
    let slice = json!({"metadata": {"name": "web-1", "namespace": "shop",
        "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4"});
    let whole = encode::item(&slice, kind.item_kind());
    let endpoint = |address: &[u8]| {
        let length = u8::try_from(address.len()).unwrap();
        [&[0x12, length + 2, 0x0a, length], address].concat()
    };
    let bytes = [
        whole.clone(),
        endpoint(b"10.1.0.1"),
        endpoint(b"\xff"),
        endpoint(b"10.1.0.3"),
    ]
    .concat();
    let read = EncodedObject::item(kind, &bytes)
        .read(&mut Names::default())
        .unwrap();
    assert!(read.object.is_some());
    let [left_out] = &read.left_out[..] else {
        panic!("{read:?}");
    };
    assert_eq!(&*left_out.field, "endpoints[1]");
    // A field whose length is beyond the end.
    let bytes = [whole, vec![0x12, 0x7f, 0x0a]].concat();
    let object = EncodedObject::item(kind, &bytes);
    assert_eq!(object.name(), "web-1");
    let error = object.read(&mut Names::default()).unwrap_err();
    assert_eq!(error.name.as_ref().unwrap().name(), "web-1");
    assert!(!error.reason.is_empty());
}

/// Of a slice that belongs to no Service, or whose addresses are names, in both formats.
#[test]
fn a_malformed_endpoint_of_a_slice_of_no_concern_is_told_with_its_place() {
    let kind = ListKind::EndpointSlices;
    let metadata = json!({"name": "web-1", "namespace": "shop"});
    let mut named = metadata.clone();
    named["labels"] = json!({"kubernetes.io/service-name": "web"});
    for (metadata, address_type) in [(metadata, "IPv4"), (named, "FQDN")] {
        let slice = json!({"metadata": metadata, "addressType": address_type});
        let endpoints = b"\x12\x05\x0a\x03abc\x12\x03\x0a\x01\xff\x12\x05\x0a\x03def";
        let bytes = [&encode::item(&slice, kind.item_kind())[..], endpoints].concat();
        let in_protobuf = EncodedObject::item(kind, &bytes).read(&mut Names::default());
        let mut slice = slice;
        slice["endpoints"] =
            json!([{"addresses": ["abc"]}, {"addresses": 7}, {"addresses": ["def"]}]);
        for (format, read) in [("protobuf", in_protobuf), ("JSON", in_json(kind, slice))] {
            let read = read.unwrap();
            assert!(read.object.is_none(), "{format}: {read:?}");
            let fields: Vec<_> = read.left_out.iter().map(|of| &*of.field).collect();
            assert_eq!(fields.len(), 1, "{format}, {address_type}: {fields:?}");
            assert!(
                fields[0].starts_with("endpoints[1]"),
                "{format}: {fields:?}"
            );
        }
    }
}

#[test]
fn events_are_read() {
    let mut web = service("web");
    ListKind::Services.complete(&mut web);
    web["metadata"]["resourceVersion"] = "8".into();
    let event = |name: &str, object: &Value| {
        let bytes = encode::event(name, &encode::object(object));
        let (length, rest) = bytes.split_at(4);
        assert_eq!(
            u32::from_be_bytes(length.try_into().unwrap()) as usize,
            rest.len()
        );
        rest.to_vec()
    };
    fn decoded(bytes: &[u8]) -> Result<Event<'_>, Malformed> {
        Event::decode(ListKind::Services, bytes)
    }
    for (name, expected) in [
        ("ADDED", EventType::Added),
        ("MODIFIED", EventType::Modified),
        ("DELETED", EventType::Deleted),
        ("BOOKMARK", EventType::Bookmark),
    ] {
        let bytes = event(name, &web);
        let Event::Object(found, object) = decoded(&bytes).unwrap() else {
            panic!("{name}");
        };
        assert_eq!((found, object.name()), (expected, "web"));
        assert_eq!(object.resource_version(), Some("8"));
        assert_eq!(object.contradicts(), None);
    }
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web"}});
    let bytes = event("ADDED", &pod);
    let Event::Object(_, object) = decoded(&bytes).unwrap() else {
        panic!();
    };
    assert_eq!(object.contradicts(), Some("kind"));
    let status = json!({"kind": "Status", "apiVersion": "v1", "code": 410, "message": "too old"});
    let bytes = event("ERROR", &status);
    let Event::Failed(status) = decoded(&bytes).unwrap() else {
        panic!();
    };
    assert_eq!((status.code, &*status.message), (410, "too old"));
    assert!(decoded(&event("NOVEL", &web)).is_err());
    assert!(decoded(&event("ERROR", &web)).is_err());
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop"},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}})
}

fn read_list(bytes: &[u8], size: usize) -> Result<(Vec<String>, List<()>), ListError> {
    let mut reader = ListReader::new(ListKind::Services, 4000);
    let mut names = Vec::new();
    for piece in bytes.chunks(size) {
        reader.push(piece);
        while let Some(object) = reader.next()? {
            names.push(object.name().to_owned());
        }
    }
    Ok((names, reader.finish()?))
}

/// Reads bytes as an object and as an event of any kind, twice alike.
fn read_as_anything(bytes: &[u8]) {
    for kind in ListKind::ALL {
        let objects = [
            EncodedObject::item(kind, bytes),
            EncodedObject::enveloped(kind, bytes),
        ];
        let of_event = match Event::decode(kind, bytes) {
            Ok(Event::Object(_, object)) => Some(object),
            _ => None,
        };
        let mut names = Names::default();
        for object in objects.into_iter().chain(of_event) {
            assert_eq!(object.clone().read(&mut names), object.read(&mut names));
        }
    }
}

proptest! {
    /// The same object in both formats, and in one go, is the same value, with the same errors and warnings.
    #[test]
    fn both_formats_are_read_alike(
        (kind, object) in prop_oneof![
            services().prop_map(|object| (ListKind::Services, object)),
            slices().prop_map(|object| (ListKind::EndpointSlices, object)),
            nodes().prop_map(|object| (ListKind::Nodes, object)),
        ]
    ) {
        let text = object.to_string();
        let plain = PlainObject::item(kind, &text).map(|plain| plain.read(&mut Names::default()));
        let read = in_json(kind, object.clone());
        prop_assert_eq!(&in_protobuf(kind, &object), &read);
        prop_assert_eq!(plain.is_some(), kind != ListKind::Nodes);
        prop_assert_eq!(plain.unwrap_or_else(|| read.clone()), read);
    }

    /// A list of which one byte is another, or that is cut, is read as well as it can be, in pieces of any size.
    #[test]
    fn a_list_that_is_damaged_stops_nobody(
        objects in vec(services(), 1..4), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(), size in 1..90_usize
    ) {
        let list = json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": objects});
        let mut bytes = encode::list(&list);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        read_as_anything(&bytes);
        let names = |size| read_list(&bytes, size).ok().map(|(names, _)| names);
        prop_assert_eq!(names(bytes.len().max(1)), names(size));
    }

    /// Any bytes can be read.
    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..200), size in 1..50_usize) {
        read_as_anything(&bytes);
        let names = |size| read_list(&bytes, size).ok().map(|(names, _)| names);
        prop_assert_eq!(names(bytes.len().max(1)), names(size));
    }
}
