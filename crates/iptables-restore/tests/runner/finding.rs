//! Which tools are found.

use iptables_restore::{Backend, Error, Family, Version};

use crate::stand_ins::{LEGACY, NFT, StandIns};

#[test]
fn finds_the_tools_asked_for() {
    let both = StandIns::new().unwrap();
    let both = both
        .add("iptables", LEGACY, "", "")
        .unwrap()
        .add("iptables-nft", NFT, "", "")
        .unwrap();
    let both = both.add("ip6tables", "ip6tables v1.6.0", "", "").unwrap();
    let found = both.finder().find(Family::V4).unwrap();
    assert_eq!(
        (found.backend(), found.version()),
        (Backend::Legacy, Version::new(1, 8, 9))
    );
    assert_eq!(found.restore_path(), both.path().join("iptables-restore"));
    let found = both
        .finder()
        .backend(Backend::Nft)
        .find(Family::V4)
        .unwrap();
    assert_eq!(
        (found.backend(), found.save_path()),
        (
            Backend::Nft,
            both.path().join("iptables-nft-save").as_path()
        )
    );
    assert!(found.features().random_fully);
    let found = both
        .finder()
        .backend(Backend::Legacy)
        .find(Family::V4)
        .unwrap();
    assert_eq!(found.restore_path(), both.path().join("iptables-restore"));
    let found = both.finder().find(Family::V6).unwrap();
    assert_eq!(
        (found.family(), found.version()),
        (Family::V6, Version::new(1, 6, 0))
    );
    assert!(!found.features().random_fully);
}

#[test]
fn says_what_is_missing() {
    let none = StandIns::new().unwrap();
    let error = none
        .finder()
        .backend(Backend::Nft)
        .find(Family::V6)
        .unwrap_err();
    let expected = format!(
        "no ip6tables, ip6tables-save and ip6tables-restore (nf_tables) in {}: install iptables",
        none.path().display()
    );
    assert_eq!(error.to_string(), expected);
    let odd = none.add("iptables", "not a tool", "", "").unwrap();
    assert!(
        matches!(odd.finder().find(Family::V4), Err(Error::Version { output, .. }) if output == "not a tool")
    );
    std::fs::remove_file(odd.path().join("iptables-save")).unwrap();
    assert!(matches!(
        odd.finder().find(Family::V4),
        Err(Error::ToolsNotFound { .. })
    ));
}

#[test]
fn takes_the_back_end_in_use() {
    let rules = |count: usize| {
        format!(
            "printf '*nat\\n:A - [0:0]\\n{}COMMIT\\n'",
            "-A A -j RETURN\\n".repeat(count)
        )
    };
    let hint = "printf '*mangle\\n:KUBE-IPTABLES-HINT - [0:0]\\nCOMMIT\\n'".to_owned();
    for (legacy, nft, expected) in [
        (rules(2), rules(1), Backend::Legacy),
        (rules(1), rules(2), Backend::Nft),
        (hint.clone(), rules(9), Backend::Legacy),
        (rules(9), hint, Backend::Nft),
        (rules(0), rules(0), Backend::Legacy),
    ] {
        let both = StandIns::new()
            .unwrap()
            .add("iptables", LEGACY, "", &legacy)
            .unwrap();
        let both = both.add("iptables-nft", NFT, "", &nft).unwrap();
        assert_eq!(
            both.finder().find_in_use(Family::V4).unwrap().backend(),
            expected
        );
    }
}

#[test]
fn passes_over_a_back_end_that_the_kernel_lacks() {
    let empty = "printf '*nat\\n:OUTPUT ACCEPT\\nCOMMIT\\n'";
    let lacking =
        "echo 'Could not fetch rule set generation id: Protocol not supported' >&2; exit 1";
    let both = StandIns::new()
        .unwrap()
        .add("iptables", NFT, "", lacking)
        .unwrap();
    let both = both.add("iptables-legacy", LEGACY, "", empty).unwrap();
    assert_eq!(
        both.finder().find_in_use(Family::V4).unwrap().backend(),
        Backend::Legacy
    );
    let only = both.finder().backend(Backend::Nft).find_in_use(Family::V4);
    assert!(
        matches!(&only, Err(Error::Failed { message, .. }) if message.contains("Protocol")),
        "{only:?}"
    );
}
