use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn printed(text: &str) -> String {
    RestoreFile::parse(text).unwrap().to_string()
}

fn error_of(text: &str) -> String {
    RestoreFile::parse(text).unwrap_err().to_string()
}

#[test]
fn every_command_in_every_spelling() {
    let long = "create a hash:ip family inet hashsize 1024 maxelem 65536\nadd a 10.0.0.1\ndel a 10.0.0.1\n\
                test a 10.0.0.1\nflush a\nrename a b\ncreate c hash:ip family inet hashsize 1024 maxelem 65536\n\
                swap b c\ndestroy b\nflush\ndestroy\n";
    assert_eq!(printed(long), long);
    for spelling in [
        "-N a iphash\n-A a 10.0.0.1\n-D a 10.0.0.1\n-T a 10.0.0.1\n-F a\n-E a b\n-N c iphash\n-W b c\n-X b\n-F\n-X\n",
        "n a hash:ip\r\na a 10.0.0.1\r\nde a 10.0.0.1\r\nte a 10.0.0.1\r\nf a\r\ne a b\r\ncr c hash:ip\r\n\
         w b c\r\nx b\r\nfl\r\ndes\r\nCOMMIT\r\n",
        "# x\n\n --new a hash:ip\n\t--add\ta 10.0.0.1\n--del a 10.0.0.1\n--test a 10.0.0.1\n--flush a\n\
         --rename a b\n--create c hash:ip\n--swap b c\n--destroy b\n--flush\n  # y\n--destroy\nquit\nnonsense\n",
    ] {
        assert_eq!(printed(spelling), long, "{spelling}");
    }
}

#[test]
fn numbers_are_those_of_the_file() {
    let file =
        RestoreFile::parse("\n# x\ncreate a hash:ip\n\r\nadd a 10.0.0.1\nadd a 10.0.0.2").unwrap();
    let numbers: Vec<_> = file.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [3, 5, 6]);
    assert_eq!(RestoreFile::parse("").unwrap(), RestoreFile::default());
}

/// As tried with ipset 7.17: `-exist` sets an option of the program, which stays set.
#[test]
fn exist_holds_from_its_line_on() {
    let modes = |text: &str| {
        let text = printed(text);
        text.lines()
            .map(|line| line.ends_with(" -exist"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        modes("create a hash:ip\nadd -! a 10.0.0.1\nadd a 10.0.0.2\ndestroy a\ncreate a hash:ip\n"),
        [false, true, true, true, true]
    );
    assert_eq!(
        modes("create a hash:ip\nflush a -exist\ndel a 10.0.0.2\n"),
        [false, false, true]
    );
    assert_eq!(
        modes("-exist\ncreate a hash:ip\ntest a 10.0.0.2\n"),
        [true, false]
    );
    let file = RestoreFile::parse("create a hash:ip\nadd a 10.0.0.1\nflush a\ndestroy\n").unwrap();
    assert_eq!(
        file.with_exist().to_string(),
        "create a hash:ip family inet hashsize 1024 maxelem 65536 -exist\nadd a 10.0.0.1 -exist\nflush a\n\
         destroy -exist\n"
    );
}

/// A name means what the lines before left there.
#[test]
fn entries_are_read_by_the_type_that_their_set_has_by_then() {
    let types = |set: SetName| match set.as_str() {
        "ports" => Some(SetType::BITMAP_PORT),
        "nets" => Some(SetType::HASH_NET),
        _ => None,
    };
    let with = |text: &str| {
        RestoreFile::parse_with(text, types)
            .map(|file| file.lines.len())
            .map_err(|error| error.to_string())
    };
    let unknown = |line: u8, set: &str| {
        Err(format!(
            "line {line}: set {set} has not been created before this line"
        ))
    };
    for (text, read) in [
        ("add ports 80\nadd nets 10.0.0.0/8\n", Ok(2)),
        (
            "swap ports nets\nadd nets 80\nadd ports 10.0.0.0/8\n",
            Ok(3),
        ),
        ("rename ports p\nadd p 80\n", Ok(2)),
        ("rename ports p\nadd ports 80\n", unknown(2, "ports")),
        (
            "create t hash:ip\nswap t ports\nadd t 80\nadd ports 10.0.0.1\n",
            Ok(4),
        ),
        (
            "create t hash:ip\nrename ports old\nrename t ports\nadd ports 10.0.0.1\nadd old 80\n",
            Ok(5),
        ),
        ("destroy ports\nadd ports 80\n", unknown(2, "ports")),
        ("destroy\nadd ports 80\n", unknown(2, "ports")),
        ("destroy\ncreate ports hash:ip\nadd ports 10.0.0.1\n", Ok(3)),
        ("flush nosuch\nswap nosuch ports\n", Ok(2)),
        ("add nosuch 10.0.0.1\n", unknown(1, "nosuch")),
    ] {
        assert_eq!(with(text), read, "{text}");
    }
}

#[test]
fn errors_name_the_first_bad_line_and_what_is_wrong() {
    for (text, message) in [
        (
            "create a hash:ip\nadd a 10.0.0.x\nnonsense\n",
            "line 2: `10.0.0.x` is not an address",
        ),
        (
            "nonsense\nadd a 10.0.0.1\n",
            "line 1: `nonsense` is not a command",
        ),
        (
            "create a hash:ip\nlist a\n",
            "line 2: `list` is not a command that changes sets",
        ),
        (
            "save\n",
            "line 1: `save` is not a command that changes sets",
        ),
        (
            "restore\n",
            "line 1: `restore` is not a command that changes sets",
        ),
        ("flush a b\n", "line 1: `b` is not expected"),
        ("destroy a b\n", "line 1: `b` is not expected"),
        ("rename a\n", "line 1: the name of a set is missing"),
        ("swap a b c\n", "line 1: `c` is not expected"),
        ("COMMIT now\n", "line 1: `now` is not expected"),
        (
            "create a hash:ip timeout 9\ndel a 10.0.0.1 timeout 5\n",
            "line 2: `timeout` is not an option of an entry that is deleted",
        ),
        (
            "create a hash:net\ndel a 10.0.0.0/8 nomatch\n",
            "line 2: `nomatch` is not an option of an entry that is deleted",
        ),
        (
            "create a hash:ip comment\ntest a 10.0.0.1 comment x\n",
            "line 2: `comment` is not an option of an entry that is deleted",
        ),
        (
            "create a hash:ip skbinfo\ndel a 10.0.0.1 skbqueue 5\n",
            "line 2: `skbinfo` is not an option of an entry that is deleted",
        ),
        (
            "create a hash:ip comment\nadd a 10.0.0.1 comment \"\"\n",
            "line 2: set a: the comment of 10.0.0.1",
        ),
        (
            "create a hash:ip comment\nadd a 10.0.0.1 comment \"x\n",
            "line 2: `\"x` is not a quoted text",
        ),
        (
            "create a hash:ip -file x\n",
            "line 1: `-file` is not an option for a line",
        ),
    ] {
        let error = error_of(text);
        assert!(error.starts_with(message), "{text:?} gave: {error}");
    }
    // What ipset takes there.
    assert_eq!(
        printed("create a hash:net\ntest a 10.0.0.0/8 nomatch\n")
            .lines()
            .nth(1),
        Some("test a 10.0.0.0/8 nomatch")
    );
}

#[test]
fn comments_are_kept_byte_for_byte() {
    let text = b"create a hash:ip family inet hashsize 1024 maxelem 65536 comment\n\
                 add a 10.0.0.1 comment \"caf\xe9 -exist\"\n";
    let file = RestoreFile::parse(text).unwrap();
    assert_eq!(file.to_bytes(), text);
}

/// Commands about a set and its entries.
fn commands() -> impl Strategy<Value = Vec<RestoreCommand>> {
    let set = crate::arbitrary::set();
    let which = vec(0..6u8, 0..8);
    (set, which, any::<bool>()).prop_map(|((spec, entries), which, exist)| {
        let mode = if exist {
            Mode::Idempotent
        } else {
            Mode::Strict
        };
        let set = spec.name;
        let plain = |entry: &Entry| Entry::new(*entry.element());
        let mut commands = vec![RestoreCommand::Create {
            spec: Box::new(spec.clone()),
            mode,
        }];
        for (which, entry) in which.into_iter().zip(&entries) {
            commands.push(match which {
                0 | 1 => RestoreCommand::Add {
                    set,
                    entry: entry.clone(),
                    mode,
                },
                2 => RestoreCommand::Del {
                    set,
                    entry: plain(entry),
                    mode,
                },
                3 => RestoreCommand::Test {
                    set,
                    entry: plain(entry),
                },
                4 => RestoreCommand::Flush { set: Some(set) },
                _ => RestoreCommand::Swap {
                    one: set,
                    other: set,
                },
            });
        }
        commands.push(RestoreCommand::Destroy {
            set: Some(set),
            mode,
        });
        commands
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(commands in commands()) {
        let lines = (1..).zip(commands).map(|(number, command)| RestoreLine { number, command });
        let file = RestoreFile { lines: lines.collect() };
        prop_assert_eq!(RestoreFile::parse(file.to_bytes()), Ok(file));
    }

    #[test]
    fn any_words_are_survived(text in "((create|add|del|-N|-A|-D|test|swap|rename|flush|destroy|a|b|hash:ip|hash:net,iface|10.0.0.0/8|,eth0|timeout|-exist|-!|[0-9]{1,3}|\"|#|[ -~])[ \n\r]{0,2}){0,30}") {
        crate::fuzz::restore(text.as_bytes());
    }
}
