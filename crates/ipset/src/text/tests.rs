use super::*;
use crate::{Error, Set, SetSpec};

fn error_of(text: &str) -> String {
    parse_save(text).unwrap_err().to_string()
}

#[test]
fn errors_name_line_and_word() {
    for (text, message) in [
        (
            "create a hash:ip\nadd a 10.0.0.x\n",
            "line 2: `10.0.0.x` is not an address",
        ),
        (
            "add a 10.0.0.1\n",
            "line 1: set a has not been created before",
        ),
        (
            "create a hash:ip\n\ncreate a hash:ip\n",
            "line 3: set a has been created before",
        ),
        (
            "create a hash:ip\nflush a\n",
            "line 2: `flush` is not a line of a saved set",
        ),
        (
            "create a hash:ip colour blue\n",
            "line 1: `colour` is not an option of a set",
        ),
        (
            "create a hash:ip maxelem 99999999999\n",
            "line 1: `99999999999` is not a number of elements",
        ),
        ("create a\n", "line 1: the type of a set is missing"),
        (
            "create a hash:ip\nadd a 1.1.1.1 timeout 5\n",
            "the set was created without `timeout`",
        ),
        (
            "create a hash:ip comment\nadd a 1.1.1.1 comment \"x\n",
            "its closing `\"` is missing",
        ),
        (
            "create a hash:ip,port\nadd a 1.1.1.1\n",
            "it has fewer parts than the type",
        ),
        (
            "create a hash:ip\nadd a 1.1.1.1,tcp:80\n",
            "it has more parts than the type",
        ),
        (
            "create a bitmap:port range 1-9\nadd a 10\n",
            "it is outside the set's range",
        ),
        (
            "create a hash:ip,vlan\nadd a 10\n",
            "set type hash:ip,vlan is not known",
        ),
        ("create a bitmap:port\n", "a bitmap needs a `range`"),
        (
            "create a iptree timeout 600\n",
            "`iptree` is not a set type: ipset 6 removed it: use `hash:ip`",
        ),
        (
            "create a hash:ip\nadd a http\n",
            "host names are not looked up",
        ),
        (
            "create a hash:ip,port\nadd a 10.0.0.1,http\n",
            "service names are not looked up",
        ),
        (
            "create a hash:ip timeout 5 --timeout 6\n",
            "`--timeout` is not an option that can be given twice",
        ),
        (
            "create a hash:ip\nadd a 10.0.0.1 # web\n",
            "`#` is not an option of an entry",
        ),
        (
            "create a hash:ip -file x\n",
            "`-file` is not an option for a line",
        ),
        ("create a portmap from 1\n", "`to` is missing"),
        ("create a iphash from 10.0.0.0\n", "`from` is not an option"),
        (
            "create a hash:ip skbinfo\nadd a 10.0.0.1 skbmark 1\n",
            "give MARK or MARK/MASK, each in hexadecimal",
        ),
    ] {
        let error = error_of(text);
        assert!(error.contains(message), "{text:?} gave: {error}");
    }
}

#[test]
fn the_line_number_is_typed() {
    assert!(matches!(
        parse_save("create a hash:ip\nadd b 1.1.1.1"),
        Err(Error::Line { line: 2, .. })
    ));
}

/// What `ipset restore` reads beside what `ipset save` writes.
#[test]
fn restore_forms_are_read() {
    let text = "# made by hand\n\n-exist create a hash:ip,port -exist\n -N b bitmap:ip range 10.0.0.0/24\n\
                add -exist\nCOMMIT\n";
    assert!(error_of(text).contains("line 5"), "{}", error_of(text));
    let text = "# made by hand\n\n-exist create a hash:ip,port -exist\n -N b bitmap:ip range 10.0.0.0/24\n\
                -A a 10.0.0.1,80 -exist\nCOMMIT\n";
    let sets = parse_save(text).unwrap();
    assert_eq!(
        sets.iter().map(Set::to_string).collect::<String>(),
        "create a hash:ip,port family inet hashsize 1024 maxelem 65536\nadd a 10.0.0.1,tcp:80\n\
         create b bitmap:ip range 10.0.0.0-10.0.0.255\n"
    );
}

/// Case 59: `-exist` stands wherever its writer liked.
#[test]
fn exist_is_read_anywhere_on_a_line() {
    let cases = [
        include_str!("../../tests/data/restore/create-exist-after-name.ipset"),
        include_str!("../../tests/data/restore/add-bang-before-name.ipset"),
    ];
    let printed = cases.map(|text| {
        let sets = parse_save(text).unwrap();
        sets.iter().map(Set::to_string).collect::<String>()
    });
    assert_eq!(
        printed,
        [
            "create blacklist-tmp hash:net family inet hashsize 16384 maxelem 131072\n\
             add blacklist-tmp 192.0.2.0/24\n",
            "create allow hash:ip family inet hashsize 1024 maxelem 65536\nadd allow 192.0.2.1\n",
        ]
    );
    let [set] =
        &parse_save("create -! a hash:ip\nadd a -exist 10.0.0.1\nadd a 10.0.0.2 -!\n").unwrap()[..]
    else {
        panic!("one set")
    };
    assert_eq!(set.entries.len(), 2);
}

/// As with `ipset restore`, which compares type, family and options, but not the size of a hash.
#[test]
fn with_exist_a_set_may_be_created_again() {
    let again = |first: &str, second: &str| parse_save(format!("create a {first}\n{second}\n"));
    let sets = again("hash:ip", "create a hash:ip hashsize 64 -exist").unwrap();
    assert_eq!(sets[0].spec.options.hashsize, Some(1024));
    for (first, second) in [
        ("hash:ip", "create a hash:ip"),
        ("hash:ip", "create a hash:net -exist"),
        ("hash:ip", "create a hash:ip maxelem 5 -exist"),
        ("hash:ip", "create a hash:ip counters -exist"),
    ] {
        let error = again(first, second).unwrap_err().to_string();
        assert!(error.contains("line 2: set a"), "{error}");
    }
}

/// Bytes of a comment survive; what is shown is text on one line.
#[test]
fn comments_need_not_be_utf8() {
    let text = b"create a hash:ip family inet hashsize 1024 maxelem 65536 comment\n\
                 add a 10.0.0.1 comment \"caf\xe9\"\n";
    let sets = parse_save(text).unwrap();
    assert_eq!(sets[0].to_bytes(), text);
    assert_eq!(
        sets[0].entries[0].to_string(),
        r#"10.0.0.1 comment "caf\xe9""#
    );
    let error = parse_save(b"create caf\xe9 hash:ip\n").unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn others_text_stays_on_one_line_of_an_error() {
    let long = "x".repeat(5000);
    for token in ["a\u{1b}[2J", "\u{202e}b", &long] {
        let error = error_of(&format!("create a {token}\n"));
        assert!(
            !error.contains(|c: char| c.is_control() || c == '\u{202e}') && error.len() < 500,
            "{error}"
        );
    }
}

#[test]
fn quit_ends_the_text() {
    let sets = parse_save("create a hash:ip\nquit\nadd a nonsense\n").unwrap();
    assert_eq!((sets.len(), sets[0].entries.len()), (1, 0));
}

#[test]
fn the_lines_of_a_set_are_its_text() {
    let set = &parse_save("create p bitmap:port range 0-65535\nadd p 80\nadd p 443\n").unwrap()[0];
    let lines: String = set.lines().map(|line| format!("{line}\n")).collect();
    assert_eq!(lines, set.to_string());
    assert_eq!(
        SetSpec::parse("create p bitmap:port range 0-65535").unwrap(),
        set.spec
    );
}

proptest::proptest! {
    /// Text loses nothing, for every type, option and extension.
    #[test]
    fn what_is_printed_reads_back((spec, entries) in crate::arbitrary::set()) {
        let set = Set { spec, entries };
        proptest::prop_assert_eq!(parse_save(set.to_bytes()).unwrap(), vec![set]);
    }

    /// Words in any order are an error or sets that print and read back, never a panic.
    #[test]
    fn any_words_are_survived(text in "((create|add|a|hash:ip|hash:net,iface|bitmap:port|range|1-9|10.0.0.0/8|,eth0|timeout|-exist|--timeout|iphash|from|[0-9]{1,3}|\"|[ -~])[ \n]{0,2}){0,30}") {
        if let Ok(sets) = parse_save(&text) {
            let printed: Vec<u8> = sets.iter().flat_map(Set::to_bytes).collect();
            proptest::prop_assert_eq!(parse_save(printed).unwrap(), sets);
        }
    }
}
