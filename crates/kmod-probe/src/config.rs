//! The configuration of `modprobe`: modprobe.d(5), and the parameters of the kernel's command line
//! that forbid modules.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::glob::matches;
use crate::{Error, ModuleName, tree};

/// The directories that `modprobe` reads, in order of precedence: of two files of one name, that in
/// the earlier directory counts. Source: `default_config_paths` in
/// <https://github.com/kmod-project/kmod/blob/v34/libkmod/libkmod.c>.
const DIRECTORIES: [&str; 5] = [
    "etc/modprobe.d",
    "run/modprobe.d",
    "usr/local/lib/modprobe.d",
    "usr/lib/modprobe.d",
    "lib/modprobe.d",
];

/// Longest text of a rule that is shown, in characters.
const SHOWN: usize = 120;

/// A rule of the administrator about the loading of modules, and where it is written.
///
/// Displays as `/etc/modprobe.d/cis.conf line 3: install sctp /bin/true`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The module that it is about as it is written there, or a pattern of names.
    pub name: String,
    /// What the rule does.
    pub directive: Directive,
    /// The file it is written in, or `/proc/cmdline`.
    pub path: PathBuf,
    /// The line where it starts, from 1.
    pub line: usize,
    /// The rule as it is written there, without its comment or continuation marks.
    pub text: String,
}

/// What a [`Rule`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directive {
    /// `blacklist MODULE`, or `modprobe.blacklist=` on the kernel's command line: `modprobe` ignores
    /// the aliases of the module. It still loads the module when asked for by its name.
    Blacklist,
    /// `module_blacklist=` on the kernel's command line: the kernel itself refuses the module.
    KernelBlacklist,
    /// `install MODULE COMMAND`: `modprobe` runs this shell command instead of loading the module.
    Install(String),
    /// `alias NAME MODULE`: `modprobe` loads this module when asked for the name. `off` is the
    /// traditional name of no module.
    Alias(String),
    /// `options MODULE PARAMETER…`, or `MODULE.PARAMETER` on the kernel's command line: parameters that the module is
    /// loaded with.
    Options(String),
    /// `softdep MODULE pre: MODULE… post: MODULE…`: modules that `modprobe` loads before and after it where they can
    /// be loaded.
    SoftDependencies {
        /// Those before it.
        pre: Vec<String>,
        /// Those after it.
        post: Vec<String>,
    },
    /// `remove MODULE COMMAND`: `modprobe -r` runs this shell command instead of unloading the module.
    Remove(String),
}

impl Directive {
    /// Whether an install command does nothing but end: `/bin/true`, `/bin/false`.
    fn is_no_op(&self) -> bool {
        let Self::Install(command) = self else {
            return false;
        };
        let program = command.split_whitespace().next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        // A command that goes on after `true` may load the module after all.
        let is_simple = !command.contains([';', '&', '|', '\n']);
        is_simple && matches!(program, "true" | "false" | ":")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: ", self.path.display(), self.line)?;
        let mut shown = self.text.chars();
        for character in shown.by_ref().take(SHOWN) {
            match character {
                '"' | '\'' => write!(f, "{character}")?,
                other => write!(f, "{}", other.escape_debug())?,
            }
        }
        f.write_str(if shown.next().is_some() { "…" } else { "" })
    }
}

/// The administrator's configuration of `modprobe`: modprobe.d(5), and parameters of the kernel's command line. Made
/// by [`Modules::configuration`](crate::Modules::configuration).
///
/// Of two files of one name, that in the earlier directory counts (`/etc`, `/run`, `/usr/local/lib`, `/usr/lib`,
/// `/lib`), and a link to `/dev/null` or an empty file shadows those behind it. Files are read in the order of their names. A
/// line that ends in `\` goes on in the next; one that starts with `#`, or with a word that modprobe.d(5) does not
/// have, is passed over.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    rules: Vec<(Pattern, Rule)>,
}

/// Which names a rule is about.
#[derive(Clone, Debug)]
enum Pattern {
    /// This module. The text of an outsider need not be a module's name.
    Module(String),
    /// Names that this pattern of fnmatch(3) covers.
    Names(String),
}

impl Configuration {
    /// All rules, in the order in which they are read.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(_, rule)| rule)
    }

    /// The rules about this module or alias, in the order in which they are read. Where `modprobe` follows one rule
    /// only ([`Directive::Install`], [`Directive::Remove`]), it is the first of its kind.
    pub fn about(&self, name: &ModuleName) -> impl Iterator<Item = &Rule> {
        let about = self
            .rules
            .iter()
            .filter(move |(pattern, _)| pattern.covers(name.as_str()));
        about.map(|(_, rule)| rule)
    }

    /// The parameters that the module is loaded with, parted by blanks; empty if there are none.
    #[must_use]
    pub fn options(&self, module: &ModuleName) -> String {
        let options: Vec<_> = self
            .about(module)
            .filter_map(|rule| match &rule.directive {
                Directive::Options(options) => Some(options.as_str()),
                _ => None,
            })
            .collect();
        options.join(" ")
    }

    /// Reads the files of modprobe.d(5) and the kernel's command line.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        // By file name, which is the order in which they are read.
        let mut files = BTreeMap::new();
        for directory in DIRECTORIES.into_iter().rev() {
            for file in tree::files(&root.join(directory), ".conf")? {
                files.insert(file.file_name().map(ToOwned::to_owned), file);
            }
        }
        let mut config = Self::default();
        for path in files.values() {
            let text = tree::read(path)?.unwrap_or_default();
            for (line, rule) in logical_lines(&text) {
                config.rules.extend(parse(path, line, &rule));
            }
        }
        let path = root.join("proc/cmdline");
        let command_line = tree::read(&path)?.unwrap_or_default();
        for parameter in command_line.split_whitespace() {
            config.rules.extend(parse_parameter(&path, parameter));
        }
        Ok(config)
    }

    /// The rule by which `modprobe` runs a command instead of loading the module: the first one.
    pub(crate) fn install(&self, module: &ModuleName) -> Option<&Rule> {
        self.find(module.as_str(), |directive| {
            matches!(directive, Directive::Install(_))
        })
    }

    /// The rule by which `modprobe` does nothing instead of loading the module.
    pub(crate) fn no_op_install(&self, module: &ModuleName) -> Option<&Rule> {
        self.install(module)
            .filter(|rule| rule.directive.is_no_op())
    }

    /// The rule by which `modprobe` ignores the aliases of the module.
    pub(crate) fn blacklist(&self, module: &ModuleName) -> Option<&Rule> {
        self.find(module.as_str(), |directive| {
            *directive == Directive::Blacklist
        })
    }

    /// The rule by which the kernel refuses the module.
    pub(crate) fn kernel_blacklist(&self, module: &ModuleName) -> Option<&Rule> {
        self.find(module.as_str(), |directive| {
            *directive == Directive::KernelBlacklist
        })
    }

    /// The rules that give this name to modules, with the modules' names.
    pub(crate) fn aliases(&self, name: &str) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().filter_map(move |(pattern, rule)| {
            let Directive::Alias(module) = &rule.directive else {
                return None;
            };
            pattern.covers(name).then_some((&**module, rule))
        })
    }

    fn find(&self, name: &str, is_kind: impl Fn(&Directive) -> bool) -> Option<&Rule> {
        let found = self
            .rules
            .iter()
            .find(|(pattern, rule)| is_kind(&rule.directive) && pattern.covers(name));
        found.map(|(_, rule)| rule)
    }
}

impl Pattern {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Module(module) => module.replace('-', "_") == name,
            Self::Names(pattern) => matches(pattern, name),
        }
    }
}

/// The lines of a file with their numbers; one that ends in `\` goes on in the next.
fn logical_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let (index, first) = lines.next()?;
        let mut whole = first.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match lines.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        Some((index + 1, whole))
    })
}

/// A line of modprobe.d(5); `None` if it is a comment, unknown or lacks something.
fn parse(path: &Path, line: usize, text: &str) -> Option<(Pattern, Rule)> {
    let text = text.trim();
    let (keyword, rest) = text.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    let (name, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let value = value.trim();
    let names = || Pattern::Names(name.to_owned());
    let (pattern, directive) = match (keyword, value) {
        ("blacklist", _) => (Pattern::Module(name.to_owned()), Directive::Blacklist),
        ("install", command) if !command.is_empty() => {
            (names(), Directive::Install(command.to_owned()))
        }
        ("alias", module) if !module.is_empty() => (names(), Directive::Alias(module.to_owned())),
        ("options", options) if !options.is_empty() => {
            let module = Pattern::Module(name.to_owned());
            (module, Directive::Options(options.to_owned()))
        }
        ("softdep", dependencies) => (names(), soft_dependencies(dependencies)?),
        ("remove", command) if !command.is_empty() => {
            (names(), Directive::Remove(command.to_owned()))
        }
        _ => return None,
    };
    Some((pattern, rule(name, directive, path, line, text)))
}

/// `pre: MODULE… post: MODULE…`; `None` without a module. What comes before one of these words belongs to neither.
fn soft_dependencies(text: &str) -> Option<Directive> {
    let (mut pre, mut post) = (Vec::new(), Vec::new());
    let mut list = None;
    for word in text.split_whitespace() {
        match word {
            "pre:" => list = Some(&mut pre),
            "post:" => list = Some(&mut post),
            module => {
                if let Some(list) = &mut list {
                    list.push(module.to_owned());
                }
            }
        }
    }
    (!pre.is_empty() || !post.is_empty()).then_some(Directive::SoftDependencies { pre, post })
}

/// What a parameter of the kernel's command line forbids, or sets of a module.
fn parse_parameter(path: &Path, parameter: &str) -> Vec<(Pattern, Rule)> {
    let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let of_module = key
        .split_once('.')
        .filter(|(module, _)| !matches!(*module, "" | "modprobe"));
    if let Some((module, name)) = of_module {
        let options = match parameter.split_once('=') {
            Some(_) => format!("{name}={value}"),
            None => name.to_owned(),
        };
        let rule = rule(module, Directive::Options(options), path, 1, parameter);
        return vec![(Pattern::Module(module.to_owned()), rule)];
    }
    let directive = match key {
        "modprobe.blacklist" => Directive::Blacklist,
        "module_blacklist" => Directive::KernelBlacklist,
        _ => return Vec::new(),
    };
    let modules = value.split(',').filter(|module| !module.is_empty());
    modules
        .map(|module| {
            let rule = rule(module, directive.clone(), path, 1, parameter);
            (Pattern::Module(module.to_owned()), rule)
        })
        .collect()
}

fn rule(name: &str, directive: Directive, path: &Path, line: usize, text: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        directive,
        path: path.to_owned(),
        line,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
