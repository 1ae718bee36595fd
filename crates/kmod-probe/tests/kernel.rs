//! Modules of a running kernel, held against the kernel's own lists and kmod's tools.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use kernel_test::{cmd, tests};
use kmod_probe::{
    Absence, Compression, Error, Loading, ModuleFile, ModuleName, Modules, Presence, Refusal,
    Stage, required_modules,
};
use nix::unistd::{Uid, setuid};
use tempfile::TempDir;

fn main() -> ExitCode {
    kernel_test::main(tests![
        what_ipvs_needs_can_be_had,
        modprobe_loads_a_module,
        finit_module_loads_a_module_and_what_it_needs,
        an_unknown_module_is_not_listed,
        built_in_modules_are_known,
        aliases_are_the_kernels,
        a_user_may_not_load,
        a_file_of_another_kernel_is_refused,
        a_module_that_misses_another_is_refused,
        a_compressed_module_is_left_to_the_kernel,
    ])
}

const LIVE: Presence = Presence::Loaded(Stage::Live);

fn here() -> Modules {
    Modules::of_running_kernel().unwrap()
}

fn name(name: &str) -> ModuleName {
    name.parse().unwrap()
}

/// Unloads a module, if the machine had a use for it.
fn unloaded(module: &str) -> ModuleName {
    cmd(&format!("modprobe -r {module}"));
    name(module)
}

fn file_of(module: &ModuleName) -> ModuleFile {
    match here().presence(module).unwrap() {
        Presence::Loadable(file) => file,
        other => unreachable!("{module}: {other}"),
    }
}

/// As the kernel lists it.
fn is_loaded(module: &ModuleName) -> bool {
    let list = fs::read_to_string("/proc/modules").unwrap();
    list.lines()
        .any(|line| line.split(' ').next() == Some(module.as_str()))
}

fn what_ipvs_needs_can_be_had() -> Result<(), Error> {
    let modules = here();
    assert_eq!(modules.release(), cmd("uname -r").trim_end());
    for module in required_modules(modules.version()?, "rr")? {
        modules.load(&module)?;
        assert!(modules.presence(&module)?.is_ready(), "{module}");
    }
    modules.load(&name("dummy"))?;
    assert_eq!(modules.presence(&name("dummy"))?, LIVE);
    Ok(())
}

fn modprobe_loads_a_module() -> Result<(), Error> {
    let mh = unloaded("ip_vs_mh");
    let file = file_of(&mh);
    assert_eq!(
        file.path.to_str(),
        Some(cmd("modinfo -n ip_vs_mh").trim_end())
    );
    assert!(!is_loaded(&mh));
    assert_eq!(here().load(&mh)?, Loading::ByModprobe);
    assert!(is_loaded(&mh));
    assert_eq!(here().presence(&mh)?, LIVE);
    assert_eq!(here().load(&mh)?, Loading::AlreadyThere);
    Ok(())
}

fn finit_module_loads_a_module_and_what_it_needs() -> Result<(), Error> {
    let set = unloaded("ip_set_hash_ipport");
    // The same tree by another name: none whose modprobe could be run.
    let modules = Modules::at("/proc/self/root", here().release());
    assert_eq!(modules.load(&set)?, Loading::ByFinitModule);
    assert!(is_loaded(&set) && is_loaded(&name("ip_set")) && is_loaded(&name("nfnetlink")));
    assert_eq!(modules.load(&set)?, Loading::AlreadyThere);
    Ok(())
}

fn an_unknown_module_is_not_listed() -> Result<(), Error> {
    let unknown = name("ip_vs_unheard");
    let folder = Path::new("/lib/modules").join(here().release());
    let why = Absence::NotListed { folder };
    assert_eq!(here().presence(&unknown)?, Presence::Absent(why));
    let error = here().load(&unknown).unwrap_err();
    assert!(matches!(error, Error::Absent { .. }), "{error}");
    Ok(())
}

fn built_in_modules_are_known() -> Result<(), Error> {
    let list = format!("/lib/modules/{}/modules.builtin", here().release());
    for line in fs::read_to_string(list).unwrap().lines() {
        let module = Path::new(line).file_stem().unwrap().to_str().unwrap();
        assert_eq!(
            here().presence(&name(module))?,
            Presence::BuiltIn,
            "{module}"
        );
    }
    Ok(())
}

fn aliases_are_the_kernels() -> Result<(), Error> {
    for alias in [
        "net-pf-16-proto-16-family-IPVS",
        "ip_set_hash:ip,port",
        "ipt_MASQUERADE",
        "rtnl-link-dummy",
    ] {
        let found = here().by_alias(alias)?;
        let found: Vec<_> = found.iter().map(ModuleName::as_str).collect();
        let kmod = cmd(&format!("modprobe --resolve-alias '{alias}' | sort"));
        assert_eq!(found, kmod.lines().collect::<Vec<_>>(), "{alias}");
        assert_eq!(found.len(), 1, "{alias}");
    }
    Ok(())
}

fn a_user_may_not_load() {
    let module = unloaded("ip_vs_ovf");
    setuid(Uid::from_raw(65534)).unwrap();
    for modules in [here(), Modules::at("/proc/self/root", here().release())] {
        let error = modules.load(&module).unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Refused {
                    why: Refusal::NotPermitted,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("ip_vs_ovf"), "{error}");
    }
}

/// A tree that has one module, with nothing that it depends on.
fn tree(file: &str, content: &[u8]) -> (TempDir, Modules) {
    let release = here().release().to_owned();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("lib/modules").join(&release);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("modules.dep"), format!("{file}:\n")).unwrap();
    fs::write(folder.join(file), content).unwrap();
    symlink("/proc", root.path().join("proc")).unwrap();
    symlink("/sys", root.path().join("sys")).unwrap();
    let modules = Modules::at(root.path(), release);
    (root, modules)
}

#[track_caller]
fn assert_refused(modules: &Modules, module: &ModuleName, expected: Refusal) {
    match modules.load(module) {
        Err(Error::Refused { why, .. }) => assert_eq!(why, expected),
        other => unreachable!("{other:?}"),
    }
    assert!(!is_loaded(module));
}

fn a_file_of_another_kernel_is_refused() {
    let program = fs::read("/bin/true").unwrap();
    let (_root, modules) = tree("other.ko", &program);
    assert_refused(&modules, &name("other"), Refusal::WrongKernel);
}

fn a_module_that_misses_another_is_refused() {
    let geneve = unloaded("geneve");
    unloaded("ip6_udp_tunnel");
    let (_root, modules) = tree("geneve.ko", &fs::read(file_of(&geneve).path).unwrap());
    assert_refused(&modules, &geneve, Refusal::UnknownSymbol);
}

fn a_compressed_module_is_left_to_the_kernel() {
    let module = unloaded("ip_vs_fo");
    let file = file_of(&module);
    let compressed = format!("/tmp/{module}.ko.gz");
    cmd(&format!("gzip -c {} > {compressed}", file.path.display()));
    let (_root, modules) = tree(&format!("{module}.ko.gz"), &fs::read(compressed).unwrap());
    // A kernel that can unpack says with what.
    if fs::read_to_string("/sys/module/compression").is_ok_and(|method| method == "gzip\n") {
        assert_eq!(modules.load(&module).unwrap(), Loading::ByFinitModule);
    } else {
        let why = Refusal::Compressed(Compression::Gzip);
        assert_refused(&modules, &module, why);
    }
}
