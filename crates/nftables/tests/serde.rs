//! The model as JSON.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use nftables_netlink::build::{Body, key};
use nftables_netlink::message::Item;
use nftables_netlink::{
    Chain, DataType, Element, Elements, Family, Hook, HookNumber, Name, Rule, Set, Table,
    TableFlags, Verdict, VerdictCode,
};

#[test]
fn items_go_to_json_and_back() {
    let [table, other] = ["t", "two words\\"].map(|name| Name::new(name).unwrap());
    let body = Body::new()
        .in_set(&[key::ip_daddr(), key::l4proto(), key::th_dport()], &other)
        .mark_or(0x2000)
        .jump(&other);
    let verdicts = Set::new(
        Family::V6,
        table.clone(),
        other.clone(),
        &[DataType::INET_SERVICE],
    );
    let element = Element::new(&[&80_u16.to_be_bytes()]).to_verdict(Verdict::goto(other.clone()));
    let items: [Item; 5] = [
        Table::new(Family::V4, table.clone())
            .with(TableFlags::OWNER | TableFlags::PERSIST)
            .into(),
        Chain::new(Family::V4, table.clone(), other.clone())
            .base(
                other.clone(),
                Hook::new(HookNumber::INPUT, -5),
                VerdictCode::DROP,
            )
            .into(),
        verdicts.map_to(DataType::VERDICT).comment("a map").into(),
        Elements::new(Family::V6, table.clone(), other.clone(), [element]).into(),
        Rule::new(Family::V4, table, other, body)
            .comment("a rule")
            .into(),
    ];
    for item in items {
        let json = serde_json::to_string(&item).unwrap();
        assert_eq!(serde_json::from_str::<Item>(&json).unwrap(), item, "{json}");
    }
}
