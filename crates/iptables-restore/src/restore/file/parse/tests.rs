use proptest::prelude::*;

use super::*;
use crate::strategies;

#[test]
fn every_spelling_is_read() {
    let short = "*filter\n-A INPUT -j LOG\n-I INPUT 1 -j LOG\n-D INPUT 1\n-D INPUT -j LOG\n-R INPUT 1 -j LOG\n-F X\n-X X\n\
                 -N Q\n-P INPUT DROP\n-Z INPUT\n-E Q P\n-C INPUT -j LOG\n-F\n-X\n-Z\nCOMMIT\n";
    assert_eq!(RestoreFile::parse(short).unwrap().to_string(), short);
    let long = "* filter \n --append INPUT --jump LOG\n\t--insert INPUT -j LOG\n--delete INPUT 1 \n--delete\tINPUT  -j\tLOG\n\
                --replace INPUT 1 -j LOG\n--flush X\n--delete-chain X\n--new-chain Q\n--policy INPUT DROP\n\
                --zero INPUT\n--rename-chain Q P\n--check INPUT -j LOG\n--flush\n--delete-chain\n--zero\n COMMIT \n";
    assert_eq!(RestoreFile::parse(long).unwrap().to_string(), short);
    let glued = "*filter\n-AINPUT -jLOG\n--insert=INPUT 1 -j LOG\n-DINPUT 1\n-DINPUT -j LOG\n-RINPUT 1 -j LOG\n-FX\n-XX\n\
                 --new Q\n--pol INPUT DROP\n--zer INPUT\n--ren Q P\n--chec INPUT -j LOG\n--fl\n-X\n-Z\nCOMMIT";
    assert_eq!(RestoreFile::parse(glued).unwrap().to_string(), short);
    // CR LF, comments, blank lines.
    let windows = format!("# x\r\n\r\n  # y\r\n{}", short.replace('\n', "\r\n"));
    let read = RestoreFile::parse(&windows).unwrap();
    assert_eq!(read.to_string(), short);
    assert_eq!(read.sections[0].number, 4);
    assert_eq!(read.sections[0].lines[0].number, 5);
    assert_eq!(read.sections[0].commit, 20);
    // Counters, in both places.
    for text in [
        "*filter\n:INPUT DROP [5:6]\nCOMMIT\n",
        "*filter\n[5:6] -P INPUT DROP\nCOMMIT\n",
        "*filter\n-P INPUT DROP -c 5 6\nCOMMIT\n",
        "*filter\n-P INPUT DROP --set-counters 5,6\nCOMMIT\n",
    ] {
        let file = RestoreFile::parse(text).unwrap();
        assert_eq!(
            file.to_string(),
            "*filter\n:INPUT DROP [5:6]\nCOMMIT\n",
            "{text}"
        );
    }
    let counted = "*filter\n-I INPUT -c 5 6 -j LOG\nCOMMIT\n";
    assert_eq!(
        RestoreFile::parse(counted).unwrap().to_string(),
        "*filter\n[5:6] -I INPUT 1 -j LOG\nCOMMIT\n"
    );
    let latin1 = b"*nat\n-A X -m comment --comment \"caf\xe9\"\nCOMMIT\n";
    assert_eq!(RestoreFile::parse_bytes(latin1).unwrap().to_bytes(), latin1);
    assert_eq!(RestoreFile::parse("").unwrap(), RestoreFile::default());
}

#[test]
fn bad_lines_are_named() {
    use ParseReason as R;
    let unexpected = |word: &str| R::UnexpectedWord(word.to_owned());
    let missing = |word: &str| R::MissingValue(word.to_owned());
    for (lines, line, reason) in [
        ("*nat\n", 2, R::MissingCommit),
        ("COMMIT\nCOMMIT\n", 3, R::OutsideTable),
        ("-L\nCOMMIT\n", 2, unexpected("-L")),
        ("--list-rules\n", 2, unexpected("--list-rules")),
        ("hello\n", 2, unexpected("hello")),
        ("-A\n", 2, missing("-A")),
        ("-N\n", 2, missing("-N")),
        ("-A INPUT 2 -j LOG\n", 2, unexpected("2")),
        ("-I INPUT 0 -j LOG\n", 2, R::BadPosition("0".to_owned())),
        ("-I INPUT x -j LOG\n", 2, R::BadPosition("x".to_owned())),
        ("-R INPUT -j LOG\n", 2, missing("-R")),
        ("-R INPUT 1 -s 1.1.1.1,2.2.2.2\n", 2, R::SeveralRules(2)),
        ("-D INPUT 1 -j LOG\n", 2, unexpected("-j")),
        ("-F INPUT X\n", 2, unexpected("X")),
        ("-P INPUT\n", 2, missing("-P")),
        ("-P INPUT D.P\n", 2, unexpected("D.P")),
        ("-E X\n", 2, missing("-E")),
        ("-t nat -A INPUT\n", 2, unexpected("-t")),
        ("[1:x] -A INPUT\n", 2, R::BadCounters("[1:x]".to_owned())),
        ("-A INPUT -m comment --comment \"x\n", 2, R::OpenQuote),
        (":INPUT\n", 2, missing(":INPUT")),
        (":INPUT DROP [0:0] x\n", 2, unexpected("x")),
        ("-A INPUT -j LOG\n", 2, R::Truncated),
    ] {
        let text = format!("*filter\n{lines}");
        let error = RestoreFile::parse(&text).unwrap_err();
        assert_eq!((error.line, error.reason), (line, reason), "{lines}");
    }
    let error = RestoreFile::parse("*\n").unwrap_err();
    assert_eq!((error.line, error.reason), (1, R::TableName));
    let error = RestoreFile::parse("*filter\n-A a\u{7f}b\nCOMMIT\n").unwrap_err();
    assert!(matches!(error.reason, R::ChainName(_)), "{error}");
}

fn commands() -> impl Strategy<Value = RestoreLine> {
    let chain = || "[A-Z][A-Z0-9_-]{0,8}".prop_map(|name| ChainName::new(name).unwrap());
    let rule = strategies::rule().prop_filter("a line", |rule| rule.validate().is_ok());
    let policy = prop_oneof![Just(Policy::Accept), Just(Policy::Drop)];
    let some = (chain(), chain(), 1..9usize, policy, any::<bool>());
    (0..16u8, some, rule).prop_map(|(which, (chain, to, position, policy, flag), rule)| {
        let edit = RestoreCommand::Edit;
        let (chain_or_all, place) = (flag.then(|| chain.clone()), Some(position));
        let command = match which {
            0 => edit(Edit::DeclareChain { chain }),
            1 => edit(Edit::SetPolicy { chain, policy }),
            2 => edit(Edit::Flush { chain }),
            3 => edit(Edit::Append { chain, rule }),
            4 => edit(Edit::Insert {
                chain,
                position,
                rule,
            }),
            5 => edit(Edit::Delete { chain, rule }),
            6 => edit(Edit::DeleteChain { chain }),
            7 => RestoreCommand::NewChain { chain },
            8 => RestoreCommand::DeleteAt { chain, position },
            9 => RestoreCommand::Replace {
                chain,
                position,
                rule,
            },
            10 => RestoreCommand::Check { chain, rule },
            11 => RestoreCommand::RenameChain { chain, to },
            12 => RestoreCommand::Zero {
                position: place.filter(|_| flag),
                chain: chain_or_all,
            },
            13 => RestoreCommand::Zero {
                position: None,
                chain: chain_or_all,
            },
            14 => RestoreCommand::FlushAll,
            _ => RestoreCommand::DeleteChains,
        };
        let counters = (which == 1 && flag).then_some(Counters {
            packets: 1,
            bytes: 2,
        });
        RestoreLine {
            number: 0,
            command,
            counters,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(mut lines in prop::collection::vec(commands(), 0..8)) {
        for (line, number) in lines.iter_mut().zip(2..) {
            line.number = number;
        }
        let commit = lines.len() + 2;
        let file = RestoreFile { sections: vec![RestoreSection { table: TableName::Nat, number: 1, lines, commit }] };
        let text = file.to_string();
        let read = RestoreFile::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&read, &file);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn any_words_are_read_or_refused(text in "(\\*nat\r?\n)?((:|-[ADIRFNXPZEC]|--(append|insert|delete)|\\[1:2\\]|COMMIT|A|B|1|0|-j|-s|1.2.3.4|LOG|\"|#|[ -~])[ \n\r]{0,2}){0,30}(\nCOMMIT\n)?") {
        crate::fuzz::restore_file(text.as_bytes());
    }
}
