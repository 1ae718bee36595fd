//! The model as JSON (feature `serde`).
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use conntrack_netlink::{Flow, FlowKey, Protocol, Tuple};

#[test]
fn flows_are_read_back() {
    let (client, service) = ([10, 0, 0, 1].into(), [10, 96, 0, 10].into());
    let original = Tuple::ports(Protocol::UDP, (client, 40000), (service, 53));
    let reply = Tuple::ports(Protocol::UDP, (service, 53), (client, 40000)).with_zone(7);
    let flow = Flow::new(original, reply);
    let json = serde_json::to_string(&flow).unwrap();
    assert!(json.contains(r#""source":"10.0.0.1","destination":"10.96.0.10","protocol":"udp""#));
    assert_eq!(serde_json::from_str::<Flow>(&json).unwrap(), flow);
    let key = FlowKey::new(original).in_zone(3).with_id(4);
    let json = serde_json::to_string(&key).unwrap();
    assert_eq!(serde_json::from_str::<FlowKey>(&json).unwrap(), key);
}
