//! Which iptables.

use std::path::Path;
use std::time::{Duration, Instant};

use iptables_restore::{
    Backend, BackendRules, Error, IncompleteTable, RestoreInput, TableName, ToolFinder, Tools,
};

use crate::rules::{Rules, is_passing};
use crate::{OpenError, backends};
use proxier::cluster::Family;

/// A chain that is made and deleted in one transaction to see whether that works.
const PROBE: &str = "KUBE-PROBE";

/// How long the tools are waited for as the kernel is opened. Those that hang longer are taken once they answer.
const WAIT: Duration = Duration::from_secs(7);

/// Until when the tools are waited for that are looked for from now on.
pub(crate) fn deadline() -> Instant {
    Instant::now() + WAIT
}

/// Tools that were found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) tools: Tools,
    /// The table that they could not show whole then, if there was one.
    pub(crate) incomplete: Option<Box<IncompleteTable>>,
}

impl From<Tools> for Found {
    fn from(tools: Tools) -> Self {
        Self {
            tools,
            incomplete: None,
        }
    }
}

/// The search for the tools of a family, which goes on in a thread of its own.
pub(crate) struct Search(Result<Rules, Error>);

impl Search {
    /// Begins to look for the tools that this machine's rules are kept with.
    pub(crate) fn begin(family: Family, finder: &ToolFinder) -> Self {
        let finder = finder.clone();
        Self(Rules::find(move || usable(family, &finder)))
    }

    /// The rules, by the tools that were found.
    ///
    /// # Errors
    ///
    /// [`OpenError::Iptables`] where there are none, or the kernel does not do what they need. Tools that hang are not an
    /// error.
    pub(crate) fn rules(self, deadline: Instant) -> Result<Rules, OpenError> {
        let opened = self.0.and_then(|mut rules| {
            rules.wait_until_found(deadline)?;
            Ok(rules)
        });
        opened.map_err(|error| OpenError::Iptables(Box::new(error)))
    }

    /// The same for IPv6. `None` only where its tools are not found. Any other fault is an error: a machine that passed for one
    /// without IPv6 would lose what is programmed.
    pub(crate) fn rules_of_ipv6(self, deadline: Instant) -> Result<Option<Rules>, OpenError> {
        match self.rules(deadline) {
            Ok(rules) => Ok(Some(rules)),
            Err(OpenError::Iptables(error)) if matches!(*error, Error::ToolsNotFound { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The tools that this machine's rules are kept with; where the kernel does not support what they need, those
/// of the other back end. Tools that hang, or wait for a lock, may do all that is needed: no others take their place.
fn usable(family: Family, finder: &ToolFinder) -> Result<Found, Error> {
    match backends::found(family, finder) {
        Some(found) => Ok(found),
        None => usable_as_tried(family, finder),
    }
}

/// The same by running the tools of all back ends.
fn usable_as_tried(family: Family, finder: &ToolFinder) -> Result<Found, Error> {
    let found = in_use(family, finder)?;
    let error = match probe(&found.tools) {
        Ok(()) => return Ok(found),
        Err(error) if is_passing(&error) => return Err(error),
        Err(error) => error,
    };
    [Backend::Nft, Backend::Legacy]
        .into_iter()
        .filter(|backend| *backend != found.tools.backend())
        .filter_map(|backend| finder.clone().backend(backend).find(family).ok())
        .find(|tools| probe(tools).is_ok())
        .map(Found::from)
        .ok_or(error)
}

/// [`ToolFinder::find_in_use`], with the table that does not decide there.
pub(crate) fn in_use(family: Family, finder: &ToolFinder) -> Result<Found, Error> {
    let Some(BackendRules { tools, rules }) = finder.survey(family)?.into_iter().next() else {
        return finder.find(family).map(Found::from);
    };
    match rules {
        Ok(_) => Ok(tools.into()),
        Err(Error::IncompleteTable(table)) => Ok(Found {
            tools,
            incomplete: Some(table),
        }),
        Err(error) => Err(error),
    }
}

/// Whether the kernel has IPv6. Not where it is switched off by `ipv6.disable=1`.
pub(crate) fn has_ipv6(sysctls: &Path) -> bool {
    sysctls.join("net/ipv6").exists()
}

fn probe(tools: &Tools) -> Result<(), Error> {
    let mut input = RestoreInput::new();
    for table in [TableName::Nat, TableName::Filter] {
        input
            .table(table)
            .declare_chain(PROBE)?
            .delete_chain(PROBE)?;
    }
    tools.restore(&input)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Writes a shell script that stands in for a tool. Another process does it: the file would be open, and so not to be run, in
    /// what a test beside this one starts at that moment.
    pub(crate) fn stand_in(path: &Path, text: &str) {
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let mut shell = Command::new("sh");
        let written = shell.args(["-c", write]).arg(path).arg(text).status();
        assert!(written.unwrap().success());
    }

    /// In the words of iptables-nft 1.8.9.
    #[test]
    fn a_table_that_is_not_shown_whole_is_known_of_the_tools_that_are_found() {
        let whole = "printf '*nat\n:OUTPUT ACCEPT\nCOMMIT\n'";
        let incomplete = "echo \"# Table \\`nat' is incompatible, use 'nft' tool.\"";
        let folder = std::env::temp_dir().join(format!("in-use-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (saved, table) in [(whole, None), (incomplete, Some(TableName::Nat))] {
            for (tool, script) in [
                ("iptables", ""),
                ("iptables-restore", ""),
                ("iptables-save", saved),
            ] {
                let version = format!("echo '{tool} v1.8.9 (nf_tables)'");
                let script = format!("case $1 in -V|--version) {version}; exit;; esac\n{script}");
                stand_in(&folder.join(tool), &script);
            }
            let finder = ToolFinder::new().directories([&folder]);
            let found = in_use(Family::V4, &finder).unwrap();
            let incomplete = found.incomplete.map(|incomplete| incomplete.table);
            assert_eq!(incomplete, table);
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
