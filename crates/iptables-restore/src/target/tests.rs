use super::*;

fn target(text: &str) -> Target {
    let mut splitter = crate::word::Splitter::default();
    splitter.feed(text);
    let mut words = splitter.into_words().into_iter();
    Target::new(words.next().unwrap().as_str(), words)
}

/// Right what `iptables-legacy-save` and `iptables-nft-save` 1.8.9 printed for what is left.
#[test]
fn prints_as_captured() {
    for (given, printed) in [
        ("ACCEPT", "-j ACCEPT"),
        (
            "REJECT --reject-with tcp-reset",
            "-j REJECT --reject-with tcp-reset",
        ),
        ("MARK --set-mark 5", "-j MARK --set-xmark 0x5/0xffffffff"),
        ("MARK --or-mark 0x10", "-j MARK --set-xmark 0x10/0x10"),
        ("MARK --and-mark 0x10", "-j MARK --set-xmark 0x0/0xffffffef"),
        ("MARK --xor-mark 0x10", "-j MARK --set-xmark 0x10/0x0"),
        (
            "MASQUERADE --random-fully --to-ports 1024-2048 --random",
            "-j MASQUERADE --to-ports 1024-2048 --random --random-fully",
        ),
        ("NOTRACK", "-j NOTRACK"),
        ("FOO", "-j FOO"),
        (
            "DNAT --to-destination 10.1.1.1:80",
            "-j DNAT --to-destination 10.1.1.1:80",
        ),
        (
            r#"LOG --log-prefix "it\'s a \"drop\": ""#,
            r#"-j LOG --log-prefix "it\'s a \"drop\": ""#,
        ),
    ] {
        assert_eq!(target(given).to_string(), printed);
        assert_eq!(target(printed.strip_prefix("-j ").unwrap()), target(given));
    }
    assert_eq!(Target::from("FOO"), Target::Jump("FOO".to_owned()));
    assert_eq!(Target::from("LOG"), Log::new().into());
    assert!(matches!(Target::from("TRACE"), Target::Other(_)));
    assert_eq!(Target::from("MASQUERADE"), Masquerade::default().into());
}
