//! The modules of the running kernel: `/proc/modules` and `/sys/module`.

use std::path::Path;

use crate::{Error, ModuleName, ModuleState, Presence, tree};

/// Where a module is, according to `/proc` and `/sys` below this root; `None` if it is in neither.
pub(crate) fn presence(root: &Path, name: &ModuleName) -> Result<Option<Presence>, Error> {
    let loaded = tree::read(&root.join("proc/modules"))?;
    if let Some(stage) = loaded.and_then(|list| in_proc_modules(&list, name)) {
        return Ok(Some(Presence::Loaded(stage)));
    }
    // A built-in module has a folder too, if it has parameters or a version, but no state in it.
    let folder = root.join("sys/module").join(name.as_str());
    if let Some(state) = tree::read(&folder.join("initstate"))? {
        return Ok(stage_of_sysfs(state.trim_end()).map(Presence::Loaded));
    }
    Ok(tree::exists(&folder)?.then_some(Presence::BuiltIn))
}

/// Whether the kernel can load modules at all: then it lists them.
pub(crate) fn has_module_support(root: &Path) -> Result<bool, Error> {
    // Where /proc is not mounted, nothing follows from the missing list.
    Ok(tree::exists(&root.join("proc/modules"))? || !tree::exists(&root.join("proc/version"))?)
}

/// `NAME SIZE REFERENCES USERS STATE ADDRESS`, see `m_show` in
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/module/procfs.c#L68>.
fn in_proc_modules(list: &str, name: &ModuleName) -> Option<ModuleState> {
    list.lines().find_map(|line| {
        let mut fields = line.split(' ');
        if fields.next()? != name.as_str() {
            return None;
        }
        match fields.nth(3)? {
            "Live" => Some(ModuleState::Live),
            "Loading" => Some(ModuleState::Loading),
            "Unloading" => Some(ModuleState::Unloading),
            _ => None,
        }
    })
}

/// Who uses a loaded module, according to `/proc/modules`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Users {
    /// How often it is used in all.
    pub(crate) references: u32,
    /// The modules that depend on it.
    pub(crate) modules: Vec<ModuleName>,
    /// Whether it cannot be unloaded: it has no exit function.
    pub(crate) is_permanent: bool,
}

/// Who uses a module; nobody if it is not loaded.
pub(crate) fn users(root: &Path, name: &ModuleName) -> Result<Users, Error> {
    let loaded = tree::read(&root.join("proc/modules"))?;
    let users = loaded.and_then(|list| users_in(&list, name));
    Ok(users.unwrap_or_default())
}

/// `USERS` is `-`, or names that are each followed by a comma, the last maybe `[permanent]`; see
/// `print_unload_info` in <https://elixir.bootlin.com/linux/v6.12/source/kernel/module/procfs.c#L13>.
fn users_in(list: &str, name: &ModuleName) -> Option<Users> {
    let mut lines = list.lines().map(|line| line.split(' '));
    let mut fields = lines.find_map(|mut fields| {
        let is_it = fields.next()? == name.as_str();
        is_it.then_some(fields)
    })?;
    let references = fields.nth(1)?.parse().ok()?;
    let users: Vec<_> = fields.next()?.split(',').collect();
    Some(Users {
        references,
        modules: users.iter().filter_map(|user| user.parse().ok()).collect(),
        is_permanent: users.contains(&"[permanent]"),
    })
}

/// `show_initstate` in <https://elixir.bootlin.com/linux/v6.12/source/kernel/module/main.c#L910>.
fn stage_of_sysfs(state: &str) -> Option<ModuleState> {
    match state {
        "live" => Some(ModuleState::Live),
        "coming" => Some(ModuleState::Loading),
        "going" => Some(ModuleState::Unloading),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `/proc/modules` of Linux 6.1.176 (Debian's User Mode Linux).
    const PROC_MODULES: &str = "\
ip_vs_mh 5503 0 - Live 0x00000000bde71000
ip_vs 162529 2 ip_vs_mh, Live 0x00000000bdfed000
ipv6 429085 19 ip_vs,[permanent], Live 0x00000000bddc7000
";

    #[test]
    fn proc_modules_lists_what_is_loaded() {
        let stage = |name: &str| in_proc_modules(PROC_MODULES, &name.parse().unwrap());
        assert_eq!(stage("ip_vs"), Some(ModuleState::Live));
        assert_eq!(stage("ip-vs-mh"), Some(ModuleState::Live));
        assert_eq!(stage("ipv6"), Some(ModuleState::Live));
        assert_eq!(stage("ip_vs_m"), None);
        let users = |name: &str| users_in(PROC_MODULES, &name.parse().unwrap()).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let expected = Users {
            references: 2,
            modules: names(&["ip_vs_mh"]),
            is_permanent: false,
        };
        assert_eq!(users("ip_vs"), expected);
        assert_eq!(users("ip_vs_mh"), Users::default());
        let expected = Users {
            references: 19,
            modules: names(&["ip_vs"]),
            is_permanent: true,
        };
        assert_eq!(users("ipv6"), expected);
        // Synthetic: a moment too short to catch.
        let name = "m".parse().unwrap();
        let list = "m 16384 1 - Unloading 0x0\n";
        assert_eq!(in_proc_modules(list, &name), Some(ModuleState::Unloading));
        let list = "m 16384 1 - Loading 0x0\n";
        assert_eq!(in_proc_modules(list, &name), Some(ModuleState::Loading));
    }
}
