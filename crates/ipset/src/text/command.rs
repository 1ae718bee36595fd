//! The commands of `ipset`.

/// A command that may start a line of `ipset restore`, or that only `ipset` itself takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Create,
    Add,
    Del,
    Test,
    Destroy,
    List,
    Save,
    Restore,
    Flush,
    Rename,
    Swap,
    Help,
    Version,
    Quit,
}

/// Names and the old option of each, in the order in which ipset 7.17 looks for the command that a
/// word abbreviates.
const COMMANDS: [(Command, &[&str], &str); 14] = [
    (Command::Create, &["create", "new"], "-N"),
    (Command::Add, &["add"], "-A"),
    (Command::Del, &["del"], "-D"),
    (Command::Test, &["test"], "-T"),
    (Command::Destroy, &["destroy", "x"], "-X"),
    (Command::List, &["list"], "-L"),
    (Command::Save, &["save"], "-S"),
    (Command::Restore, &["restore"], "-R"),
    (Command::Flush, &["flush"], "-F"),
    (Command::Rename, &["rename", "e"], "-E"),
    (Command::Swap, &["swap", "w"], "-W"),
    (Command::Help, &["help"], "-H"),
    (Command::Version, &["version"], "-V"),
    (Command::Quit, &["quit"], "-Q"),
];

impl Command {
    /// The command that a word is: a name or the start of one, with `--` or without, or the old option
    /// (`-N`).
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        let word = std::str::from_utf8(word).ok()?;
        let name = match word.strip_prefix("--") {
            // Options of `ipset` have these letters.
            Some("f" | "n" | "r" | "s" | "t") => return None,
            Some(name) => name,
            None => word,
        };
        let is = |(_, names, old): &&(Self, &[&str], &str)| {
            *old == word || (!name.is_empty() && names.iter().any(|full| full.starts_with(name)))
        };
        COMMANDS.iter().find(is).map(|(command, ..)| *command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every start of every name was tried with ipset 7.17, with `--` and without.
    #[test]
    fn abbreviations_are_those_of_ipset() {
        for (words, command) in [
            ("c cr create n ne new --c --new -N", Some(Command::Create)),
            ("a ad add --a --add -A", Some(Command::Add)),
            ("d de del --d --del -D", Some(Command::Del)),
            ("t te test --te -T", Some(Command::Test)),
            ("des destroy x --x --des -X", Some(Command::Destroy)),
            ("l list --l -L", Some(Command::List)),
            ("s sa save --sa -S", Some(Command::Save)),
            ("r re res restore --re -R", Some(Command::Restore)),
            ("f flush --fl -F", Some(Command::Flush)),
            ("ren rename e --e --ren -E", Some(Command::Rename)),
            ("sw swap w --w -W", Some(Command::Swap)),
            ("h help --h -H", Some(Command::Help)),
            ("v version -V", Some(Command::Version)),
            ("q quit --q", Some(Command::Quit)),
            (
                "delete -delete -add -a -n -C -B -U --f --n --r --s --t -- N ADD commit ipset",
                None,
            ),
        ] {
            for word in words.split(' ') {
                assert_eq!(Command::of(word.as_bytes()), command, "{word}");
            }
        }
        assert_eq!(Command::of(b""), None);
        assert_eq!(Command::of(b"caf\xe9"), None);
    }
}
