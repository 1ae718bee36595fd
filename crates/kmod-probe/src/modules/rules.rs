//! The administrator's rules about a module.

use crate::{
    Configuration, Directive, Error, ModuleFile, ModuleName, Modules, RejectReason, Rule, live,
    reject,
};

use super::Found;

impl Modules {
    /// The administrator's configuration of `modprobe`, as values: what forbids modules, gives them other names,
    /// parameters or an order.
    ///
    /// # Errors
    /// [`Error::Read`] if a file exists but cannot be read.
    pub fn configuration(&self) -> Result<Configuration, Error> {
        Configuration::read(&self.root)
    }

    /// Whether `modprobe` failed because of a rule that forbids the module.
    pub(super) fn explains(&self, rule: &Rule, error: &Error) -> Result<bool, Error> {
        Ok(match error {
            Error::Modprobe { .. } => true,
            Error::Rejected { reason, .. } => match (&rule.directive, reason) {
                // modprobe prints the kernel's ENOENT for a module that does not exist.
                (Directive::Alias(_), RejectReason::UnknownSymbol) => true,
                // The kernel checks the caller's rights before its blacklist, and answers EPERM to both.
                (
                    Directive::KernelBlacklist,
                    RejectReason::NotPermitted | RejectReason::LockedDown,
                ) => reject::may_load(&self.root)?,
                _ => false,
            },
            _ => false,
        })
    }

    /// The rule of the administrator by which a module cannot be loaded by this name, although it is
    /// on disk: the one that takes effect first. Read are the directories of modprobe.d(5) and
    /// `/proc/cmdline`.
    ///
    /// - `install MODULE /bin/true` and `/bin/false`, also of a module that it depends on and that is
    ///   not loaded yet. Other install commands may load the module.
    /// - `alias NAME off`, or another module that does not exist.
    /// - `blacklist MODULE` and `modprobe.blacklist=MODULE`, if `name` is an alias. A blacklisted
    ///   module can be loaded by its own name.
    /// - `module_blacklist=MODULE`, which the kernel itself enforces, also of a module that it depends
    ///   on.
    ///
    /// # Errors
    /// [`Error::Read`] if a file exists but cannot be read.
    pub fn forbidden_by(&self, name: &ModuleName) -> Result<Option<Rule>, Error> {
        let config = Configuration::read(&self.root)?;
        for (module, rule) in config.aliases(name.as_str()) {
            let module = module.parse::<ModuleName>();
            let is_known = match &module {
                Ok(module) => !matches!(self.search_name(module)?, Found::Nothing(_)),
                Err(_) => false,
            };
            if !is_known {
                return Ok(Some(rule.clone()));
            }
        }
        let (files, is_alias) = self.files(name)?;
        for file in &files {
            if live::presence(&self.root, &file.name)?.is_some_and(|found| found.is_ready()) {
                continue;
            }
            let forbids = config
                .no_op_install(&file.name)
                .or_else(|| config.kernel_blacklist(&file.name));
            if let Some(rule) = forbids {
                return Ok(Some(rule.clone()));
            }
        }
        let module = files.last().filter(|_| is_alias);
        Ok(module
            .and_then(|file| config.blacklist(&file.name))
            .cloned())
    }

    /// The rule by which `modprobe` does something else than load the module.
    pub(super) fn diverted_by(&self, name: &ModuleName) -> Result<Option<Rule>, Error> {
        let config = Configuration::read(&self.root)?;
        let (files, _) = self.files(name)?;
        let install = files.iter().find_map(|file| config.install(&file.name));
        let alias = || config.aliases(name.as_str()).next().map(|(_, rule)| rule);
        Ok(install.or_else(alias).cloned())
    }

    /// The files of the module in the order of loading, and whether `name` is an alias of it.
    fn files(&self, name: &ModuleName) -> Result<(Vec<ModuleFile>, bool), Error> {
        if let Found::Files(files) = self.on_disk(name)? {
            return Ok((files, false));
        }
        for module in self.by_alias(name.as_str())? {
            if let Found::Files(files) = self.on_disk(&module)? {
                return Ok((files, true));
            }
        }
        Ok((Vec::new(), false))
    }
}
