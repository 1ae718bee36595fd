//! The model as JSON (feature `serde`).
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::{Duration, SystemTime};

use conntrack_netlink::{
    Counters, Family, Filter, Flow, FlowEvent, FlowKey, FlowUpdate, Mark, Protocol, ProtocolState,
    Status, TcpState, Tuple,
};

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

#[test]
fn details_filters_and_updates_are_read_back() {
    let (client, service) = ([10, 0, 0, 1].into(), [10, 96, 0, 10].into());
    let original = Tuple::ports(Protocol::TCP, (client, 40000), (service, 80));
    let mut flow = Flow::new(original, original);
    flow.status = Some(Status::ASSURED | Status::CONFIRMED);
    flow.timeout = Some(Duration::from_secs(300));
    flow.state = Some(ProtocolState::Tcp(TcpState::ESTABLISHED));
    flow.reply_counters = Some(Counters {
        packets: 3,
        bytes: 164,
    });
    flow.started = Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_972_470_446_179_000));
    let event = FlowEvent::Destroyed(flow);
    let json = serde_json::to_string(&event).unwrap();
    assert!(json.contains(r#""status":"ASSURED | CONFIRMED""#), "{json}");
    assert_eq!(serde_json::from_str::<FlowEvent>(&json).unwrap(), event);

    let mark = Mark {
        value: 7,
        mask: 0xff,
    };
    let filter = Filter::from(Family::V6).zone(3).mark(mark);
    let json = serde_json::to_string(&filter).unwrap();
    assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
    let update = FlowUpdate::new(original).mark(mark);
    let json = serde_json::to_string(&update).unwrap();
    assert_eq!(serde_json::from_str::<FlowUpdate>(&json).unwrap(), update);
}
