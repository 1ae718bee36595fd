//! Where a module is, and loading it.

use std::path::{Path, PathBuf};

use nix::sys::utsname::uname;

use crate::index::Index;
use crate::{
    Absence, Error, KernelVersion, ModuleFile, ModuleName, Presence, Rule, live, load, tree,
};

/// The modules of one kernel, seen through one file tree.
///
/// Nothing is cached: every call reads the files again. `modules.dep` of a distribution is about half
/// a megabyte, so a caller that asks often keeps the answers.
#[derive(Clone, Debug)]
pub struct Modules {
    root: PathBuf,
    release: String,
}

impl Modules {
    /// The running kernel's modules, seen through this process's file tree.
    ///
    /// # Errors
    /// [`Error::Uname`].
    pub fn of_running_kernel() -> Result<Self, Error> {
        let release = uname().map_err(|errno| Error::Uname(errno.into()))?;
        Ok(Self::at("/", release.release().to_string_lossy()))
    }

    /// The modules of the kernel of this release, seen through the file tree at `root`, with its
    /// `/proc`, `/sys` and `/lib/modules`.
    ///
    /// For a container that has its host's tree mounted, such as `/host`, and for tests.
    pub fn at(root: impl Into<PathBuf>, release: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            release: release.into(),
        }
    }

    /// The kernel's release, as `uname -r` prints it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The numbers of the kernel's release.
    ///
    /// # Errors
    /// [`Error::KernelRelease`] if it does not start with numbers.
    pub fn version(&self) -> Result<KernelVersion, Error> {
        Ok(self.release.parse()?)
    }

    /// Where the module is. `name` may also be an alias of it: `ipt_MASQUERADE` is `xt_MASQUERADE`
    /// since 5.2.
    ///
    /// Looks, in this order, for a loaded module, a built-in one and a file. [`Presence::Absent`] means
    /// that the module is missing, with the reason; an error means that this could not be found out.
    /// Whether a loadable module may be loaded is not checked: see [`forbidden_by`](Self::forbidden_by).
    ///
    /// # Errors
    /// [`Error::Read`] if a file exists but cannot be read.
    pub fn presence(&self, name: &ModuleName) -> Result<Presence, Error> {
        Ok(match self.search(name)? {
            Found::Kernel(presence) => presence,
            Found::Files(mut files) => match files.pop() {
                Some(file) => Presence::Loadable(file),
                None => Presence::Absent(self.not_listed()?),
            },
            Found::Nothing(why) => Presence::Absent(why),
        })
    }

    /// The modules that claim an alias: `net-pf-16-proto-16-family-IPVS` gives `ip_vs`,
    /// `ip_set_hash:ip,port` gives `ip_set_hash_ipport`. These are the names by which the kernel itself
    /// asks for modules. Sorted; empty if there is none, or no folder of modules.
    ///
    /// # Errors
    /// [`Error::Read`] if a list exists but cannot be read.
    pub fn by_alias(&self, alias: &str) -> Result<Vec<ModuleName>, Error> {
        self.index()?
            .map_or_else(|| Ok(Vec::new()), |index| index.by_alias(alias))
    }

    /// Loads the module and what it depends on, unless the kernel has it already, and checks that the
    /// kernel has it afterwards.
    ///
    /// With this process's own tree: by `modprobe` (the one that the kernel would run, or one in
    /// `PATH`), which follows modprobe.d(5) and is given 30 seconds. Without `modprobe`, or with another
    /// tree: by `finit_module(2)`, dependencies first. Then rules that forbid the module
    /// ([`forbidden_by`](Self::forbidden_by)) and parameters are followed, but soft dependencies and other
    /// install commands are not; a compressed file is left to the kernel to unpack, which not every
    /// kernel can.
    ///
    /// # Errors
    /// - [`Error::Absent`]: there is no such module.
    /// - [`Error::Forbidden`]: the administrator forbids it; the error names the file and line.
    /// - [`Error::Rejected`]: the kernel does not take it (no permission, wrong signature, built for
    ///   another kernel).
    /// - [`Error::NotLoaded`]: `modprobe` reported success, but the module is not there.
    /// - [`Error::Modprobe`], [`Error::ModprobeNotRun`], [`Error::ModprobeTimeout`]: `modprobe` failed
    ///   for another reason.
    /// - [`Error::Read`]: a file cannot be read.
    pub fn load(&self, name: &ModuleName) -> Result<LoadOutcome, Error> {
        let found = match self.search(name)? {
            // On its way in or out: ask for it, and the kernel waits for the one and rejects the other.
            Found::Kernel(presence) if !presence.is_ready() => self.on_disk(name)?,
            found => found,
        };
        let files = match found {
            Found::Kernel(_) => return Ok(LoadOutcome::AlreadyLoaded),
            Found::Files(files) => files,
            Found::Nothing(reason) => {
                return Err(Error::Absent {
                    module: name.clone(),
                    reason,
                });
            }
        };
        if self.root == Path::new("/") {
            if let Some(program) = load::find_modprobe(&self.root)? {
                return self.load_by_modprobe(&program, name);
            }
        }
        if let Some(rule) = self.forbidden_by(name)? {
            return Err(forbidden(name, rule));
        }
        let config = self.configuration()?;
        for file in &files {
            // Of a module that it has, the kernel would check the caller's rights first.
            let there = live::presence(&self.root, &file.name)?;
            if !there.is_some_and(|presence| presence.is_ready()) {
                load::insert(&self.root, file, &config.options(&file.name))?;
            }
        }
        Ok(LoadOutcome::ByFinitModule)
    }

    /// Has one run of `modprobe` load those of some modules that the kernel does not show: for a program that is about to use
    /// them all, where the kernel would run `modprobe` for each as it is first used. As for the kernel, a blacklist counts.
    ///
    /// It does not check which modules were loaded, and ignores those that do not exist: the kernel asks again for what is used.
    /// Where there is no `modprobe`, or the tree is not this process's own, nothing is done.
    ///
    /// # Errors
    /// [`Error::ModprobeNotRun`], [`Error::ModprobeTimeout`]; [`Error::Read`] if a file cannot be read.
    pub fn load_ahead(&self, names: &[ModuleName]) -> Result<(), Error> {
        if self.root != Path::new("/") {
            return Ok(());
        }
        let mut missing = Vec::new();
        for name in names {
            if live::presence(&self.root, name)?.is_none() {
                missing.push(name);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        match load::find_modprobe(&self.root)? {
            Some(program) => load::modprobe_all(&program, &missing),
            None => Ok(()),
        }
    }

    fn load_by_modprobe(&self, program: &Path, name: &ModuleName) -> Result<LoadOutcome, Error> {
        let result = load::modprobe(&self.root, program, name);
        if self.is_ready(name)? {
            return Ok(LoadOutcome::ByModprobe);
        }
        let rule = self.forbidden_by(name)?;
        Err(match (result, rule) {
            (Ok(()), Some(rule)) => forbidden(name, rule),
            (Ok(()), None) => Error::NotLoaded {
                module: name.clone(),
                program: program.to_owned(),
                rule: self.diverted_by(name)?.map(Box::new),
            },
            (Err(error), Some(rule)) if self.explains(&rule, &error)? => forbidden(name, rule),
            (Err(error), _) => error,
        })
    }

    /// Whether the kernel has the module, or one that has the name for an alias.
    fn is_ready(&self, name: &ModuleName) -> Result<bool, Error> {
        let is_ready =
            |found: Found| matches!(found, Found::Kernel(presence) if presence.is_ready());
        if is_ready(self.search_name(name)?) {
            return Ok(true);
        }
        for module in self.by_alias(name.as_str())? {
            if is_ready(self.search_name(&module)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds the module, or one that has the name for an alias.
    fn search(&self, name: &ModuleName) -> Result<Found, Error> {
        let found = self.search_name(name)?;
        let Found::Nothing(Absence::NotListed { .. }) = found else {
            return Ok(found);
        };
        for module in self.by_alias(name.as_str())? {
            let other = self.search_name(&module)?;
            if !matches!(other, Found::Nothing(_)) {
                return Ok(other);
            }
        }
        Ok(found)
    }

    fn search_name(&self, name: &ModuleName) -> Result<Found, Error> {
        match live::presence(&self.root, name)? {
            Some(presence) => Ok(Found::Kernel(presence)),
            None => self.on_disk(name),
        }
    }

    fn on_disk(&self, name: &ModuleName) -> Result<Found, Error> {
        let Some(index) = self.index()? else {
            return Ok(Found::Nothing(self.not_listed()?));
        };
        if index.is_built_in(name)? {
            return Ok(Found::Kernel(Presence::BuiltIn));
        }
        let list = index.dependencies();
        if !tree::exists(&list)? {
            return Ok(Found::Nothing(Absence::NoList { list }));
        }
        let Some(files) = index.files(name)? else {
            return Ok(Found::Nothing(self.not_listed()?));
        };
        for file in &files {
            if !tree::exists(&file.path)? {
                let path = file.path.clone();
                return Ok(Found::Nothing(Absence::FileMissing { path }));
            }
        }
        Ok(Found::Files(files))
    }

    /// Why no list has the module.
    fn not_listed(&self) -> Result<Absence, Error> {
        Ok(match self.index()? {
            Some(index) => Absence::NotListed {
                folder: index.folder,
            },
            None if !live::has_module_support(&self.root)? => Absence::NoModuleSupport,
            None => Absence::NoFolder {
                release: self.release.clone(),
            },
        })
    }

    /// The lists of this kernel's modules, if there is a folder of them.
    fn index(&self) -> Result<Option<Index>, Error> {
        for parent in ["lib/modules", "usr/lib/modules"] {
            let folder = self.root.join(parent).join(&self.release);
            if tree::exists(&folder)? {
                return Ok(Some(Index { folder }));
            }
        }
        Ok(None)
    }
}

fn forbidden(module: &ModuleName, rule: Rule) -> Error {
    Error::Forbidden {
        module: module.clone(),
        rule: Box::new(rule),
    }
}

/// How the kernel got a module in [`Modules::load`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadOutcome {
    /// The module was loaded before, or is built in.
    AlreadyLoaded,
    /// `modprobe` loaded it.
    ByModprobe,
    /// `finit_module(2)` loaded it.
    ByFinitModule,
}

/// What a search found.
enum Found {
    /// The kernel has it.
    Kernel(Presence),
    /// Its file, last, after those it depends on.
    Files(Vec<ModuleFile>),
    /// Neither.
    Nothing(Absence),
}

mod removal;
mod rules;
#[cfg(test)]
mod tests;
