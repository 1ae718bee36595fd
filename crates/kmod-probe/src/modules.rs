//! Where a module is: the question this crate is about.

use std::path::{Path, PathBuf};

use nix::sys::utsname::uname;

use crate::listed::Listed;
use crate::{Absence, Error, KernelVersion, ModuleFile, ModuleName, Presence, live, load, tree};

/// The modules of one kernel, seen through one file tree.
///
/// Nothing is kept: every call reads the files anew. `modules.dep` of a distribution is about half a
/// megabyte; who asks often keeps the answers.
#[derive(Clone, Debug)]
pub struct Modules {
    root: PathBuf,
    release: String,
}

impl Modules {
    /// The running kernel's modules, seen through this process's file tree.
    ///
    /// # Errors
    /// [`Error::Uname`] if the kernel's release cannot be asked for.
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
        self.release.parse()
    }

    /// Where the module is. `name` may also be an alias of it: `ipt_MASQUERADE` is `xt_MASQUERADE`
    /// since 5.2.
    ///
    /// Looks, in this order, for a loaded module, a built-in one and a file. An [`Absence`] is a
    /// finding, with its reason; an error says that nothing could be found out.
    ///
    /// # Errors
    /// [`Error::Read`] if a file is there but cannot be read.
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
    /// [`Error::Read`] if a list is there but cannot be read.
    pub fn by_alias(&self, alias: &str) -> Result<Vec<ModuleName>, Error> {
        self.listed()?
            .map_or_else(|| Ok(Vec::new()), |listed| listed.by_alias(alias))
    }

    /// Loads the module, and what it depends on, unless the kernel has it already.
    ///
    /// With this process's own tree: by `modprobe` (the one that the kernel would run, or one in
    /// `PATH`), which honours `/etc/modprobe.d`. Without `modprobe`, or with another tree: by
    /// `finit_module(2)`, dependencies first; module parameters, soft dependencies and the rest of
    /// `/etc/modprobe.d` are not looked at then. A compressed file is left to the kernel to unpack,
    /// which it may not be built for.
    ///
    /// # Errors
    /// [`Error::Absent`] with the reason if there is no such module, [`Error::Refused`] with the reason
    /// if the kernel does not take it (among them: not allowed, wrong signature, built for another
    /// kernel), [`Error::Modprobe`] or [`Error::ModprobeNotRun`] if `modprobe` fails of itself,
    /// [`Error::Read`] if a file cannot be read.
    pub fn load(&self, name: &ModuleName) -> Result<Loading, Error> {
        let found = match self.search(name)? {
            // On its way in or out: ask for it, the kernel waits for the one or refuses for the other.
            Found::Kernel(presence) if !presence.is_ready() => self.on_disk(name)?,
            found => found,
        };
        let files = match found {
            Found::Kernel(_) => return Ok(Loading::AlreadyThere),
            Found::Files(files) => files,
            Found::Nothing(why) => {
                return Err(Error::Absent {
                    module: name.clone(),
                    why,
                });
            }
        };
        if self.root == Path::new("/")
            && let Some(program) = load::find_modprobe(&self.root)?
        {
            load::modprobe(&self.root, &program, name)?;
            return Ok(Loading::ByModprobe);
        }
        for file in &files {
            // Asked for again, the kernel would check rights before it looks.
            let there = live::presence(&self.root, &file.name)?;
            if !there.is_some_and(|presence| presence.is_ready()) {
                load::insert(&self.root, file)?;
            }
        }
        Ok(Loading::ByFinitModule)
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
        let Some(listed) = self.listed()? else {
            return Ok(Found::Nothing(self.not_listed()?));
        };
        if listed.is_built_in(name)? {
            return Ok(Found::Kernel(Presence::BuiltIn));
        }
        let list = listed.dependencies();
        if !tree::exists(&list)? {
            return Ok(Found::Nothing(Absence::NoList { list }));
        }
        let Some(files) = listed.files(name)? else {
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

    /// Why a module is in no list.
    fn not_listed(&self) -> Result<Absence, Error> {
        Ok(match self.listed()? {
            Some(listed) => Absence::NotListed {
                folder: listed.folder,
            },
            None if !live::has_module_support(&self.root)? => Absence::NoModuleSupport,
            None => Absence::NoFolder {
                release: self.release.clone(),
            },
        })
    }

    /// The folder of this kernel's modules, if it is there.
    fn listed(&self) -> Result<Option<Listed>, Error> {
        for parent in ["lib/modules", "usr/lib/modules"] {
            let folder = self.root.join(parent).join(&self.release);
            if tree::exists(&folder)? {
                return Ok(Some(Listed { folder }));
            }
        }
        Ok(None)
    }
}

/// How [`Modules::load`] came by a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loading {
    /// It was loaded or built in.
    AlreadyThere,
    /// `modprobe` loaded it.
    ByModprobe,
    /// It was given to the kernel directly.
    ByFinitModule,
}

/// What a search found.
enum Found {
    /// The kernel has it.
    Kernel(Presence),
    /// Its file, last, after those it depends on.
    Files(Vec<ModuleFile>),
    Nothing(Absence),
}

#[cfg(test)]
mod tests;
