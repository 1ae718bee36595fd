//! The model as JSON (feature `serde`).
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use dummy_link::{AddressLabel, Lifetimes, LinkName, NewAddress, NodeLinks, host_address};

#[test]
fn links_are_their_names_and_addresses_their_text() {
    let mut links = NodeLinks::new();
    let name = LinkName::new("kube-ipvs0").unwrap();
    links.insert(name, host_address("10.96.0.1".parse().unwrap()));
    links.insert_link(LinkName::new("lo").unwrap());
    let json = serde_json::to_string(&links).unwrap();
    assert_eq!(json, r#"{"kube-ipvs0":["10.96.0.1/32"],"lo":[]}"#);
    assert_eq!(serde_json::from_str::<NodeLinks>(&json).unwrap(), links);
    let error = serde_json::from_str::<LinkName>(r#""a/b""#).unwrap_err();
    assert!(error.to_string().contains("holds '/'"), "{error}");
}

#[test]
fn addresses_are_read_back_with_their_choices() {
    let address = NewAddress::new("192.0.2.10/24".parse().unwrap())
        .with_label("lb0:web".parse().unwrap())
        .with_lifetimes(Lifetimes::seconds(30, 60));
    let json = serde_json::to_string(&address).unwrap();
    assert!(json.contains(r#""label":"lb0:web""#), "{json}");
    assert_eq!(serde_json::from_str::<NewAddress>(&json).unwrap(), address);
    let error = serde_json::from_str::<AddressLabel>(r#""sixteen-bytes:xy""#).unwrap_err();
    assert!(error.to_string().contains("is not a label"), "{error}");
}
