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
            "line 2: `10.0.0.x` is no address",
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
            "line 2: `flush` is no line of a saved set",
        ),
        (
            "create a hash:ip colour blue\n",
            "line 1: `colour` is no option of a set",
        ),
        (
            "create a hash:ip maxelem 99999999999\n",
            "line 1: `99999999999` is no number of elements",
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
        proptest::prop_assert_eq!(parse_save(&set.to_string()).unwrap(), vec![set]);
    }

    /// Words in any order are an error or sets that print and read back, never a panic.
    #[test]
    fn any_words_are_survived(text in "((create|add|a|hash:ip|hash:net,iface|bitmap:port|range|1-9|10.0.0.0/8|,eth0|timeout|[0-9]{1,3}|\"|[ -~])[ \n]{0,2}){0,30}") {
        if let Ok(sets) = parse_save(&text) {
            let printed: String = sets.iter().map(Set::to_string).collect();
            proptest::prop_assert_eq!(parse_save(&printed).unwrap(), sets);
        }
    }
}
