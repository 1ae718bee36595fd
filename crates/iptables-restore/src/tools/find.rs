//! Finding the tools.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::process::{Call, Limits};
use super::{Backend, SaveOptions, Tools, Version, outcome};
use crate::Family;
use crate::error::Error;
use crate::name::TableName;
use crate::ruleset::Ruleset;
use crate::text;

/// Looks for `iptables`, `iptables-save` and `iptables-restore` (`ip6tables…`) in one directory.
///
/// Searched are the directories of `PATH` and those in which system administration programs usually are.
///
/// The tools of a back end are mostly one program under many names, `xtables-nft-multi` or `xtables-legacy-multi`. A finder,
/// with its clones, asks such a program for its version once, whatever it is called, and not where its name tells that it is of
/// the other back end.
#[derive(Debug, Clone)]
pub struct ToolFinder {
    directories: Vec<PathBuf>,
    backend: Option<Backend>,
    /// By the program that all names lead to.
    versions: Arc<Mutex<BTreeMap<PathBuf, Answer>>>,
}

/// What a program says of itself, once it has been asked. Locked while it is: who wants to know it as well waits for the
/// answer.
type Answer = Arc<Mutex<Option<(Version, Backend)>>>;

impl Default for ToolFinder {
    fn default() -> Self {
        Self::new()
    }
}

impl ToolFinder {
    /// Searches `PATH` and the usual directories for tools of either back end.
    pub fn new() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = std::env::split_paths(&path)
            .filter(|path| path.is_absolute())
            .collect();
        for usual in
            ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"].map(PathBuf::from)
        {
            if !directories.contains(&usual) {
                directories.push(usual);
            }
        }
        Self {
            directories,
            backend: None,
            versions: Arc::default(),
        }
    }

    /// Searches these directories instead.
    #[must_use]
    pub fn directories(
        mut self,
        directories: impl IntoIterator<Item = impl Into<PathBuf>>,
    ) -> Self {
        self.directories = directories.into_iter().map(Into::into).collect();
        self
    }

    /// Takes tools of this back end only.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Finds the tools: of the back end asked for, else those called just `iptables`, which is what the system's owner
    /// chose, else those of nft, else the legacy ones.
    ///
    /// # Errors
    /// [`Error::ToolsNotFound`], [`Error::Version`], [`Error::TimedOut`], [`Error::Io`].
    pub fn find(&self, family: Family) -> Result<Tools, Error> {
        let plain = plain(family);
        let suffixes: &[&str] = match self.backend {
            None => &["", "-nft", "-legacy"],
            Some(Backend::Nft) => &["-nft", ""],
            Some(Backend::Legacy) => &["-legacy", ""],
        };
        for [main, restore, save] in self.places(plain, suffixes) {
            let named = multi(&main).and_then(|multi| backend_named(&multi));
            if self
                .backend
                .is_some_and(|wanted| named.is_some_and(|named| named != wanted))
            {
                continue;
            }
            let (version, backend) = self.version(&main)?;
            if self.backend.is_none_or(|wanted| wanted == backend) {
                return Ok(Tools::new(family, backend, version, restore, save));
            }
        }
        Err(Error::ToolsNotFound {
            name: plain,
            backend: self.backend,
            directories: self.directories.clone(),
        })
    }

    /// The three tools of a family, wherever all of them are.
    fn places(&self, plain: &str, suffixes: &[&str]) -> impl Iterator<Item = [PathBuf; 3]> {
        let stems = suffixes
            .iter()
            .map(move |suffix| format!("{plain}{suffix}"));
        let places = stems.flat_map(|stem| {
            let tools = move |directory: &PathBuf| {
                ["", "-restore", "-save"].map(|end| directory.join(format!("{stem}{end}")))
            };
            self.directories.iter().map(tools)
        });
        places.filter(|tools| tools.iter().all(|path| is_executable(path)))
    }

    /// The back end of the tools that [`ToolFinder::find`] finds, where the name of their program tells: `xtables-nft-multi` or
    /// `xtables-legacy-multi`. `None` where it does not, or there are none. No program is run.
    pub fn named_backend(&self, family: Family) -> Option<Backend> {
        if self.backend.is_some() {
            return self.backend;
        }
        let [main, ..] = self
            .places(plain(family), &["", "-nft", "-legacy"])
            .next()?;
        backend_named(&multi(&main)?)
    }

    /// The version of a program, as it says itself.
    fn version(&self, program: &Path) -> Result<(Version, Backend), Error> {
        let Some(multi) = multi(program) else {
            return version(program);
        };
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = Arc::clone(versions.entry(multi).or_default());
        // A program that hangs keeps nobody from asking others.
        drop(versions);
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *answer {
            return Ok(known);
        }
        let version = version(program)?;
        Ok(*answer.insert(version))
    }

    /// Finds the tools of the back end that this machine's rules are in: the one with a kubelet's mark (the chains
    /// `KUBE-IPTABLES-HINT` or `KUBE-KUBELET-CANARY` of its mangle table), else the one with more rules, else the one that
    /// [`ToolFinder::find`] finds. A back end that this kernel does not have is passed over. For programs in containers,
    /// whose `iptables` need not be of the host's back end.
    ///
    /// A table that cannot be read whole ([`Error::IncompleteTable`]) does not decide: its rules count as far as they are
    /// known, and the tools are found all the same.
    ///
    /// # Errors
    /// As [`ToolFinder::find`] and [`Tools::save`].
    pub fn find_in_use(&self, family: Family) -> Result<Tools, Error> {
        match self.survey(family)?.into_iter().next() {
            Some(BackendRules { tools, rules }) => match rules {
                Ok(_) | Err(Error::IncompleteTable(_)) => Ok(tools),
                Err(error) => Err(error),
            },
            None => self.find(family),
        }
    }

    /// The tools of each back end that has some, with the rules found there: first the one that
    /// [`ToolFinder::find_in_use`] finds, last those whose rules this kernel does not show.
    ///
    /// # Errors
    /// As [`ToolFinder::find`] and [`Tools::save`], but that a program that fails is among the answers. Base chains of nft
    /// that the tools do not show are passed over ([`SaveOptions::hidden_base_chains`]).
    pub fn survey(&self, family: Family) -> Result<Vec<BackendRules>, Error> {
        let chosen = self.find(family)?;
        let other = match chosen.backend() {
            Backend::Legacy => Backend::Nft,
            Backend::Nft => Backend::Legacy,
        };
        let mut candidates = vec![chosen];
        if self.backend.is_none() {
            match self.clone().backend(other).find(family) {
                Ok(tools) => candidates.push(tools),
                Err(Error::ToolsNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut found = Vec::with_capacity(candidates.len());
        for tools in candidates {
            let all = SaveOptions::new().hidden_base_chains();
            let saved = tools.save_text(&all).and_then(|text| text.parse_all());
            found.push(match saved {
                // What cannot be shown is something all the same.
                Ok((ruleset, Some(incomplete))) => {
                    let weight = weight(&ruleset).saturating_add(1);
                    let error = Error::IncompleteTable(Box::new(incomplete));
                    (Some(weight), tools, Err(error))
                }
                Ok((ruleset, None)) => (Some(weight(&ruleset)), tools, Ok(ruleset)),
                Err(error @ Error::Failed { .. }) => (None, tools, Err(error)),
                Err(error) => return Err(error),
            });
        }
        found.sort_by_key(|(weight, ..)| Reverse(*weight));
        Ok(found
            .into_iter()
            .map(|(_, tools, rules)| BackendRules { tools, rules })
            .collect())
    }
}

/// The tools of one back end, and the rules that they printed.
#[derive(Debug)]
pub struct BackendRules {
    /// The tools.
    pub tools: Tools,
    /// All rules of the back end, or why they could not be read: mostly that this kernel does not have it.
    pub rules: Result<Ruleset, Error>,
}

/// How much a rule set is in use.
fn weight(ruleset: &Ruleset) -> u64 {
    let mangle = ruleset.table(&TableName::Mangle);
    let marked = mangle.is_some_and(|table| {
        table.chain("KUBE-IPTABLES-HINT").is_some() || table.chain("KUBE-KUBELET-CANARY").is_some()
    });
    if marked {
        return u64::MAX;
    }
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.map(|chain| chain.rules.len() as u64).sum()
}

/// What the tools of a family are called where their name has no back end in it.
const fn plain(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The program of a whole back end that a name leads to. Others, such as scripts that choose a back end, are asked each time.
fn multi(program: &Path) -> Option<PathBuf> {
    let path = program.canonicalize().ok()?;
    let name = path.file_name()?.to_str()?;
    name.ends_with("-multi").then_some(path)
}

/// The back end that the name of such a program tells.
fn backend_named(multi: &Path) -> Option<Backend> {
    match multi.file_name()?.to_str()? {
        "xtables-nft-multi" => Some(Backend::Nft),
        "xtables-legacy-multi" => Some(Backend::Legacy),
        _ => None,
    }
}

fn version(program: &Path) -> Result<(Version, Backend), Error> {
    let limits = Limits {
        time: Duration::from_secs(10),
        stdout: 1 << 16,
    };
    let output = Call::new(program, vec!["-V".into()]).run(limits)?;
    if !output.status.success() {
        return Err(outcome::failure(program, &output));
    }
    let text = text::from_bytes(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    Version::from_output(line).ok_or_else(|| Error::Version {
        program: program.to_owned(),
        output: line.to_owned(),
    })
}
