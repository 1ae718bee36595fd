//! Which tools are found.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;

use iptables_restore::{Backend, Error, Family, Version};

use crate::stand_ins::{LEGACY, NFT, StandIns, script};

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
    fs::remove_file(odd.path().join("iptables-save")).unwrap();
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

#[test]
fn one_program_under_many_names_is_asked_once() {
    let folder = StandIns::new().unwrap();
    let multi = folder.path().join("xtables-nft-multi");
    let text = format!(
        "echo \"$0\" >> {}\nsleep 0.2\necho '{NFT}'\n",
        folder.path().join("runs").display()
    );
    script(&multi, &text);
    for tool in ["iptables", "ip6tables", "iptables-nft", "ip6tables-nft"] {
        for end in ["", "-restore", "-save"] {
            symlink(&multi, folder.path().join(format!("{tool}{end}"))).unwrap();
        }
    }
    let finder = folder.finder();
    let nft = finder.clone().backend(Backend::Nft);
    for family in [Family::V4, Family::V6] {
        assert_eq!(finder.find(family).unwrap().backend(), Backend::Nft);
        assert_eq!(nft.find(family).unwrap().backend(), Backend::Nft);
    }
    let runs = || fs::read_to_string(folder.path().join("runs")).unwrap();
    assert_eq!(runs().lines().count(), 1, "{}", runs());
    // Another finder knows nothing yet. Who asks while the program is being asked waits for its answer.
    let another = folder.finder();
    thread::scope(|scope| {
        for family in [Family::V4, Family::V6] {
            let another = another.clone();
            scope.spawn(move || another.find(family).unwrap());
        }
    });
    assert_eq!(runs().lines().count(), 2, "{}", runs());
}

/// What a program is called tells its back end, so that those of the other one are not run.
#[test]
fn a_program_that_is_named_after_a_back_end_is_not_asked_for_the_other() {
    let folder = StandIns::new().unwrap();
    for (multi, line, end) in [
        ("xtables-nft-multi", NFT, "-nft"),
        ("xtables-legacy-multi", LEGACY, "-legacy"),
    ] {
        let path = folder.path().join(multi);
        let runs = folder.path().join("runs");
        let text = format!("echo {multi} >> {}\necho '{line}'\n", runs.display());
        script(&path, &text);
        for tool in ["", "-restore", "-save"] {
            symlink(&path, folder.path().join(format!("iptables{end}{tool}"))).unwrap();
        }
    }
    // The plain name is of nft, and without the suffix legacy is there under no other name.
    for tool in ["", "-restore", "-save"] {
        let legacy = folder.path().join(format!("iptables-legacy{tool}"));
        fs::remove_file(legacy).unwrap();
        let plain = folder.path().join(format!("iptables{tool}"));
        symlink(folder.path().join("xtables-nft-multi"), plain).unwrap();
    }
    let finder = folder.finder();
    assert_eq!(finder.named_backend(Family::V4), Some(Backend::Nft));
    assert_eq!(finder.named_backend(Family::V6), None);
    let legacy = finder.clone().backend(Backend::Legacy);
    let found = legacy.find(Family::V4);
    assert!(
        matches!(found, Err(Error::ToolsNotFound { .. })),
        "{found:?}"
    );
    assert!(!folder.path().join("runs").exists(), "a program was run");
    assert_eq!(finder.find(Family::V4).unwrap().backend(), Backend::Nft);
    let runs = fs::read_to_string(folder.path().join("runs")).unwrap();
    assert_eq!(runs, "xtables-nft-multi\n");
}
