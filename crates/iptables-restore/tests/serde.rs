//! The model as JSON.

use iptables_restore::{Ruleset, SaveFormat};

#[test]
fn a_rule_set_there_and_back() {
    let text = "*nat\n:OUTPUT ACCEPT [1:2]\n:X - [0:0]\n\
                [3:4] -A OUTPUT -p tcp -m comment --comment \"it\\'s [5]\" -j X\n\
                [0:0] -A X -s 10.0.0.0/8 -j RETURN\nCOMMIT\n";
    let found = Ruleset::parse(text).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    let expected = serde_json::json!({"tables": [{"name": "nat", "chains": [
        {"name": "OUTPUT", "policy": "ACCEPT", "counters": "[1:2]", "rules": [
            "[3:4] -p tcp -m comment --comment \"it\\'s [5]\" -j X"
        ]},
        {"name": "X", "policy": null, "counters": "[0:0]", "rules": [
            "[0:0] -s 10.0.0.0/8 -j RETURN"
        ]},
    ]}]});
    assert_eq!(json, expected);
    let back: Ruleset = serde_json::from_value(json).unwrap();
    assert_eq!(back.display(SaveFormat::SAVE_COUNTERS).to_string(), text);
    // Counters and policies may be left out.
    let short = r#"{"name": "Y", "rules": ["-j DROP", {"verbatim": "-i x\"y"}]}"#;
    let chain: iptables_restore::Chain = serde_json::from_str(short).unwrap();
    assert_eq!((chain.rules.len(), &chain.policy), (2, &None));
    assert_eq!(chain.rules[1].verbatim(), Some("-i x\"y"));
    assert_eq!(
        serde_json::to_value(&chain.rules[1]).unwrap(),
        serde_json::json!({"verbatim": "-i x\"y"})
    );
    for bad in [
        r#""-s host""#,
        r#""[1:x] -j DROP""#,
        "3",
        r#""-s 10.0.0.1,10.0.0.2""#,
    ] {
        assert!(
            serde_json::from_str::<iptables_restore::Rule>(bad).is_err(),
            "{bad}"
        );
    }
}
