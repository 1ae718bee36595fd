use super::*;

const TEXT: &str =
    "*nat\n:X - [0:0]\n-A X -j RETURN\nCOMMIT\n*filter\n:Y - [0:0]\n-A Y -j NOPE\nCOMMIT\n";

/// What iptables-legacy-restore and iptables-nft-restore 1.8.9 (Debian) printed on Linux 6.18, given bad input.
#[test]
fn captured_messages() {
    use RejectReason as R;
    let kernel = |operation: &str, error: &str, object: &str| R::Kernel {
        operation: operation.to_owned(),
        error: error.to_owned(),
        object: object.to_owned(),
    };
    let other = |text: &str| R::Other(text.to_owned());
    for (message, line, reason) in [
        ("iptables-restore: line 3 failed\n", 3, R::Unexplained),
        (
            "iptables-nft-restore: line 3 failed: No chain/target/match by that name.\n",
            3,
            other("No chain/target/match by that name"),
        ),
        (
            "iptables-nft-restore: line 3 failed: Index of insertion too big.\n",
            3,
            other("Index of insertion too big"),
        ),
        // 42,000 lines in a user namespace.
        (
            "sendmsg() failed: Message too long\niptables-nft-restore: line 42001 failed: Message too long.\n",
            42001,
            R::TooLong,
        ),
        (
            "iptables-restore v1.8.9 (legacy): unknown option \"--bogus\"\nError occurred at line: 3\n\
             Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
            3,
            other("unknown option \"--bogus\""),
        ),
        (
            "iptables-restore v1.8.9 (legacy): Set NOPE doesn't exist.\n\nError occurred at line: 3\nTry `x'\n",
            3,
            R::NoSuchSet("NOPE".to_owned()),
        ),
        (
            "iptables-nft-restore v1.8.9 (nf_tables): Chain 'NOPE' does not exist\nError occurred at line: 7\n",
            7,
            R::NoSuchTarget("NOPE".to_owned()),
        ),
        (
            "iptables-restore v1.8.9 (legacy): Couldn't load target `NOPE':No such file or directory\n\n\
             Error occurred at line: 6\n",
            6,
            R::NoSuchTarget("NOPE".to_owned()),
        ),
        (
            "iptables-restore v1.8.9 (legacy): goto 'NOPE' is not a chain\nError occurred at line: 3\n",
            3,
            R::NoSuchTarget("NOPE".to_owned()),
        ),
        (
            "iptables-nft-restore v1.8.9 (nf_tables): Couldn't load match `bogus':No such file or directory\n\n\
             Error occurred at line: 3\n",
            3,
            R::NoSuchMatch("bogus".to_owned()),
        ),
        (
            "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'bogus'\n\
             Error occurred at line: 1\n",
            1,
            R::TableUnavailable("bogus".to_owned()),
        ),
        (
            "iptables-nft-restore v1.8.9 (nf_tables): iptables-nft-restore: line 1 table name 'bogus' invalid\n\
             Error occurred at line: 1\n",
            1,
            R::TableUnavailable("bogus".to_owned()),
        ),
        (
            "Bad argument `hello'\nError occurred at line: 2\nTry `x'\n",
            2,
            other("Bad argument `hello'"),
        ),
        (
            "iptables-nft-restore v1.8.9 (nf_tables): \nline 3: RULE_DELETE failed (No such file or directory): \
             rule in chain X\n",
            3,
            kernel(
                "RULE_DELETE",
                "No such file or directory",
                "rule in chain X",
            ),
        ),
        (
            "iptables-nft-restore v1.8.9 (nf_tables): \nline 4: CHAIN_DEL failed (Device or resource busy): chain X\n",
            4,
            kernel("CHAIN_DEL", "Device or resource busy", "chain X"),
        ),
        (
            "iptables-restore: COMMIT expected at line 3\n",
            3,
            R::CommitMissing,
        ),
        (
            "iptables-restore v1.8.9 (legacy): Can't set policy `DROP' on `Z' line 2: Bad built-in chain name\n",
            2,
            other("Can't set policy `DROP' on `Z': Bad built-in chain name"),
        ),
        (
            "iptables-restore v1.8.9 (legacy): \nThe \"nat\" table is not intended for filtering, the use of DROP is \
             therefore inhibited.\n\n\nError occurred at line: 4\n",
            4,
            other(
                "The \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.",
            ),
        ),
        (
            "Warning: Extension ipvs revision 0 not supported, missing kernel module?\n\
             iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (No such file or directory): \
             rule in chain OUTPUT\n",
            2,
            kernel(
                "RULE_APPEND",
                "No such file or directory",
                "rule in chain OUTPUT",
            ),
        ),
    ] {
        assert_eq!(read(message), Some((line, reason)), "{message}");
    }
}

#[test]
fn words_that_are_no_rejection() {
    for message in [
        "",
        "Fatal: can't open lock file /run/xtables.lock: Permission denied\n",
        "iptables-nft-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)\n",
        "line x: failed",
        "line 99999999999999999999999999 failed",
        "Error occurred at line: -1",
    ] {
        assert_eq!(read(message), None, "{message}");
    }
}

#[test]
fn lines_are_found_with_their_table_and_those_before() {
    let place = InputLine::of(7, TEXT);
    assert_eq!(
        (place.text, place.table),
        ("-A Y -j NOPE", Some(TableName::Filter))
    );
    assert_eq!(place.before, [TableName::Nat]);
    let commit = InputLine::of(4, TEXT);
    assert_eq!(
        (commit.text, commit.table, commit.before),
        ("COMMIT", Some(TableName::Nat), Vec::new())
    );
    let beyond = InputLine::of(99, TEXT);
    assert_eq!((beyond.text, beyond.table), ("", None));
    let second = InputLine::of(5, TEXT);
    assert_eq!(
        (second.text, second.table),
        ("*filter", Some(TableName::Filter))
    );
}
