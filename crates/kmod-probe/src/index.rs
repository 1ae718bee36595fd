//! The lists that depmod(8) writes beside a kernel's modules: `modules.dep`, `modules.builtin`,
//! `modules.builtin.modinfo`, `modules.alias`. See modules.dep(5).

use std::path::{Path, PathBuf};

use crate::glob::matches;
use crate::{Compression, Error, ModuleFile, ModuleName, tree};

/// A folder `/lib/modules/RELEASE`.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) folder: PathBuf,
}

impl Index {
    /// The list of modules and their dependencies.
    pub(crate) fn dependencies(&self) -> PathBuf {
        self.folder.join("modules.dep")
    }

    /// The module's file, last, after those that must be loaded before it, in order; `None` if the list
    /// does not have it.
    pub(crate) fn files(&self, name: &ModuleName) -> Result<Option<Vec<ModuleFile>>, Error> {
        let list = tree::read(&self.dependencies())?.unwrap_or_default();
        let line = list
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(file, _)| name_of_file(file).as_ref() == Some(name));
        Ok(line.map(|(file, dependencies)| {
            // Each module stands before those that it needs.
            let order = dependencies.split_whitespace().rev().chain([file]);
            order.filter_map(|file| self.file(file)).collect()
        }))
    }

    /// A line's file; the path is relative to the folder, or absolute.
    fn file(&self, file: &str) -> Option<ModuleFile> {
        Some(ModuleFile {
            name: name_of_file(file)?,
            path: self.folder.join(file),
            compression: split_compression(file).1,
        })
    }

    /// Whether the kernel has the module built in.
    pub(crate) fn is_built_in(&self, name: &ModuleName) -> Result<bool, Error> {
        let listed = tree::read(&self.folder.join("modules.builtin"))?.is_some_and(|list| {
            list.lines()
                .any(|file| name_of_file(file).as_ref() == Some(name))
        });
        if listed {
            return Ok(true);
        }
        // Since Linux 5.2; has modules of a single file that the other list forgets.
        let found = self.built_in_info(|module, _, _| same(module, name.as_str()).then_some(()))?;
        Ok(!found.is_empty())
    }

    /// The modules that claim this alias, built in or not.
    pub(crate) fn by_alias(&self, alias: &str) -> Result<Vec<ModuleName>, Error> {
        let list = tree::read(&self.folder.join("modules.alias"))?.unwrap_or_default();
        let mut found: Vec<ModuleName> = list
            .lines()
            .filter_map(|line| line.strip_prefix("alias ")?.rsplit_once(' '))
            .filter(|(pattern, _)| matches(pattern, alias))
            .filter_map(|(_, module)| module.parse().ok())
            .collect();
        found.extend(self.built_in_info(|module, key, value| {
            let claims = key == "alias" && matches(value, alias);
            claims.then(|| module.parse().ok())?
        })?);
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Picks from `modules.builtin.modinfo`, which holds `MODULE.KEY=VALUE`, each closed by a NUL.
    fn built_in_info<T>(
        &self,
        pick: impl Fn(&str, &str, &str) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let info = tree::read(&self.folder.join("modules.builtin.modinfo"))?.unwrap_or_default();
        let entries = info.split('\0').filter_map(|entry| {
            let (key, value) = entry.split_once('=')?;
            let (module, key) = key.split_once('.')?;
            pick(module, key, value)
        });
        Ok(entries.collect())
    }
}

fn same(module: &str, name: &str) -> bool {
    module.replace('-', "_") == name
}

/// `kernel/net/ipv4/ip-x.ko.xz` is the file of `ip_x`.
fn name_of_file(path: &str) -> Option<ModuleName> {
    let (path, _) = split_compression(path);
    let file = Path::new(path).file_name()?.to_str()?;
    file.strip_suffix(".ko")?.parse().ok()
}

fn split_compression(path: &str) -> (&str, Option<Compression>) {
    let suffixes = [
        (".gz", Compression::Gzip),
        (".xz", Compression::Xz),
        (".zst", Compression::Zstd),
    ];
    suffixes
        .into_iter()
        .find_map(|(suffix, compression)| Some((path.strip_suffix(suffix)?, Some(compression))))
        .unwrap_or((path, None))
}
