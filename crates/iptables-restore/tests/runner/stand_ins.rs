//! Stand-ins for the tools.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use iptables_restore::{Family, InvalidEdit, RestoreInput, Rule, TableName, ToolFinder, Tools};

/// Writes a shell script that can be run. Another process does it: the file would be open, and so not to be run, in what a test beside
/// this one starts at that moment.
pub(crate) fn script(path: &Path, text: &str) {
    let write = "printf '#!/bin/sh\n%s' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let mut shell = Command::new("sh");
    let written = shell.args(["-c", write]).arg(path).arg(text).status();
    assert!(written.is_ok_and(|status| status.success()));
}

/// A directory of stand-ins.
pub(crate) struct StandIns(tempfile::TempDir);

impl StandIns {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds the three tools of a name; `restore` and `save` are shell scripts.
    pub(crate) fn add(
        self,
        stem: &str,
        version: &str,
        restore: &str,
        save: &str,
    ) -> io::Result<Self> {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools/stand-in");
        for (end, script) in [("", ""), ("-restore", restore), ("-save", save)] {
            symlink(&program, self.path().join(format!("{stem}{end}")))?;
            std::fs::write(self.path().join(format!("{stem}{end}.sh")), script)?;
        }
        std::fs::write(
            self.path().join(format!("{stem}.version")),
            format!("{version}\n"),
        )?;
        Ok(self)
    }

    pub(crate) fn finder(&self) -> ToolFinder {
        ToolFinder::new().directories([self.path()])
    }

    pub(crate) fn file(&self, name: &str) -> io::Result<String> {
        std::fs::read_to_string(self.path().join(name))
    }
}

pub(crate) const NFT: &str = "iptables v1.8.9 (nf_tables)";
pub(crate) const LEGACY: &str = "iptables v1.8.9 (legacy)";
pub(crate) const OLD: &str = "iptables v1.4.21";

/// Tools whose `iptables-restore` is this script.
pub(crate) fn tools(
    version: &str,
    restore: &str,
) -> Result<(StandIns, Tools), Box<dyn std::error::Error>> {
    let stand_ins = StandIns::new()?.add("iptables", version, restore, "")?;
    let tools = stand_ins
        .finder()
        .find(Family::V4)?
        .lock_file(stand_ins.path().join("lock"));
    Ok((stand_ins, tools))
}

pub(crate) fn two_tables() -> Result<RestoreInput, InvalidEdit> {
    let mut input = RestoreInput::new();
    input
        .table(TableName::Nat)
        .declare_chain("X")?
        .append("X", Rule::new().jump("RETURN"))?;
    input
        .table(TableName::Filter)
        .declare_chain("Y")?
        .append("Y", Rule::new().jump("NOPE"))?;
    Ok(input)
}

pub(crate) const TWO_TABLES: &str =
    "*nat\n:X - [0:0]\n-A X -j RETURN\nCOMMIT\n*filter\n:Y - [0:0]\n-A Y -j NOPE\nCOMMIT\n";
