//! Modules of a running kernel, held against the kernel's own lists and kmod's tools.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod removal;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use kernel_test::{Needs, cmd, tests};
use kmod_probe::{
    Absence, Compression, Directive, Error, LoadOutcome, ModuleFile, ModuleName, ModuleState,
    Modules, Presence, RejectReason, required_modules,
};
use nix::unistd::{Uid, setuid};
use tempfile::TempDir;

fn main() -> ExitCode {
    let tests = tests![
        what_ipvs_needs_can_be_had,
        modprobe_loads_a_module,
        several_modules_are_loaded_at_once,
        finit_module_loads_a_module_and_what_it_needs,
        an_unknown_module_is_not_listed,
        built_in_modules_are_known,
        aliases_are_the_kernels,
        a_user_may_not_load,
        a_user_may_not_load_what_a_module_depends_on,
        a_file_of_another_kernel_is_rejected,
        a_module_that_misses_another_is_rejected,
        a_compressed_module_is_left_to_the_kernel,
        an_install_rule_that_does_nothing_is_named,
        a_blacklist_counts_for_aliases_only,
        an_alias_to_nothing_is_named,
        another_install_command_is_modprobes_to_run,
        removal::a_module_is_unloaded_unless_it_is_in_use,
        removal::an_alias_is_unloaded,
        removal::a_built_in_module_stays,
        removal::a_user_may_not_unload,
        removal::options_are_followed_without_modprobe_too,
        removal::the_configuration_is_that_of_modprobe,
    ];
    // They unload modules that others may use.
    kernel_test::main(tests.map(|test| test.needs(Needs::OwnKernel)))
}

fn several_modules_are_loaded_at_once() {
    let names = ["ip_vs_rr", "ip_vs_wrr"].map(unloaded);
    let more = [name("no_such_module")];
    here().load_ahead(&[&more[..], &names].concat()).unwrap();
    for loaded in &names {
        assert_eq!(here().presence(loaded).unwrap(), LIVE, "{loaded}");
    }
}

const LIVE: Presence = Presence::Loaded(ModuleState::Live);

fn here() -> Modules {
    Modules::of_running_kernel().unwrap()
}

fn name(name: &str) -> ModuleName {
    name.parse().unwrap()
}

/// Unloads a module and those that use it: which are loaded depends on the tests that ran before on the same kernel.
/// What it depends on stays as it is.
fn unloaded(module: &str) -> ModuleName {
    let name = name(module);
    if is_loaded(&name) {
        for user in fs::read_dir(format!("/sys/module/{name}/holders")).unwrap() {
            unloaded(user.unwrap().file_name().to_str().unwrap());
        }
        cmd(&format!("rmmod {name}"));
    }
    name
}

/// Unloads a module and those that use it, but has what it depends on loaded.
fn unloaded_alone(module: &str) -> ModuleName {
    cmd(&format!("modprobe {module}"));
    unloaded(module)
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
    assert_eq!(here().load(&mh)?, LoadOutcome::ByModprobe);
    assert!(is_loaded(&mh));
    assert_eq!(here().presence(&mh)?, LIVE);
    assert_eq!(here().load(&mh)?, LoadOutcome::AlreadyLoaded);
    Ok(())
}

fn finit_module_loads_a_module_and_what_it_needs() -> Result<(), Error> {
    let set = unloaded("ip_set_hash_ipport");
    // The same tree by another name: none whose modprobe could be run.
    let modules = Modules::at("/proc/self/root", here().release());
    assert_eq!(modules.load(&set)?, LoadOutcome::ByFinitModule);
    assert!(is_loaded(&set) && is_loaded(&name("ip_set")) && is_loaded(&name("nfnetlink")));
    assert_eq!(modules.load(&set)?, LoadOutcome::AlreadyLoaded);
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
    let ovf = unloaded_alone("ip_vs_ovf");
    assert_user_may_not_load(&ovf, &ovf);
}

fn a_user_may_not_load_what_a_module_depends_on() {
    let ip_vs = unloaded_alone("ip_vs");
    assert_user_may_not_load(&name("ip_vs_ovf"), &ip_vs);
}

/// Becomes another user, for good. Without `modprobe`, the error names the first module that the kernel did not take.
#[track_caller]
fn assert_user_may_not_load(module: &ModuleName, first: &ModuleName) {
    setuid(Uid::from_raw(65534)).unwrap();
    let without = Modules::at("/proc/self/root", here().release());
    for (modules, named) in [(here(), module), (without, first)] {
        let error = modules.load(module).unwrap_err();
        match &error {
            Error::Rejected {
                module,
                reason: RejectReason::NotPermitted,
            } => assert_eq!(module, named),
            _ => unreachable!("{error}"),
        }
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("cannot load module {named}: ")),
            "{shown}"
        );
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
fn assert_rejected(modules: &Modules, module: &ModuleName, expected: RejectReason) {
    match modules.load(module) {
        Err(Error::Rejected { reason, .. }) => assert_eq!(reason, expected),
        other => unreachable!("{other:?}"),
    }
    assert!(!is_loaded(module));
}

fn a_file_of_another_kernel_is_rejected() {
    let program = fs::read("/bin/true").unwrap();
    let (_root, modules) = tree("other.ko", &program);
    assert_rejected(&modules, &name("other"), RejectReason::WrongKernel);
}

fn a_module_that_misses_another_is_rejected() {
    let geneve = unloaded("geneve");
    unloaded("ip6_udp_tunnel");
    let (_root, modules) = tree("geneve.ko", &fs::read(file_of(&geneve).path).unwrap());
    assert_rejected(&modules, &geneve, RejectReason::UnknownSymbol);
}

fn a_compressed_module_is_left_to_the_kernel() {
    let module = unloaded_alone("ip_vs_fo");
    let file = file_of(&module);
    let compressed = format!("/tmp/{module}.ko.gz");
    cmd(&format!("gzip -c {} > {compressed}", file.path.display()));
    let (_root, modules) = tree(&format!("{module}.ko.gz"), &fs::read(compressed).unwrap());
    // A kernel that can unpack modules names the method.
    if fs::read_to_string("/sys/module/compression").is_ok_and(|method| method == "gzip\n") {
        assert_eq!(modules.load(&module).unwrap(), LoadOutcome::ByFinitModule);
    } else {
        let why = RejectReason::Compressed(Compression::Gzip);
        assert_rejected(&modules, &module, why);
    }
}

/// A rule for `modprobe`, in the test's own `/run`.
fn rule(text: &str) {
    fs::create_dir_all("/run/modprobe.d").unwrap();
    fs::write("/run/modprobe.d/rule.conf", format!("# one\n{text}\n")).unwrap();
}

#[track_caller]
fn assert_forbidden(module: &str, expected: &Directive) {
    let module = name(module);
    let rule = here().forbidden_by(&module).unwrap().unwrap();
    assert_eq!(rule.directive, *expected);
    let error = here().load(&module).unwrap_err();
    let shown = error.to_string();
    match error {
        Error::Forbidden { rule: named, .. } => assert_eq!(*named, rule),
        other => unreachable!("{other}"),
    }
    assert!(
        shown.contains("/run/modprobe.d/rule.conf line 2"),
        "{shown}"
    );
}

fn an_install_rule_that_does_nothing_is_named() {
    let dh = unloaded("ip_vs_dh");
    for (program, succeeds) in [("/bin/true", true), ("/bin/false", false)] {
        rule(&format!("install ip_vs_dh {program}"));
        let status = cmd("modprobe ip_vs_dh 2>/dev/null && echo yes || echo no");
        assert_eq!(status, if succeeds { "yes\n" } else { "no\n" });
        assert!(!is_loaded(&dh));
        assert_forbidden("ip_vs_dh", &Directive::Install(program.to_owned()));
        assert!(!is_loaded(&dh));
        // Without modprobe the rule is followed all the same.
        let modules = Modules::at("/proc/self/root", here().release());
        let error = modules.load(&dh).unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    }
    // Of a module that another depends on.
    unloaded("ip_vs");
    rule("install ip_vs /bin/false");
    assert_forbidden("ip_vs_nq", &Directive::Install("/bin/false".to_owned()));
    rule("");
    assert_eq!(
        here().load(&name("ip_vs_nq")).unwrap(),
        LoadOutcome::ByModprobe
    );
    assert_eq!(here().load(&dh).unwrap(), LoadOutcome::ByModprobe);
}

fn a_blacklist_counts_for_aliases_only() {
    rule("blacklist ip_set_hash_mac");
    let alias = "ip_set_hash:mac";
    assert_eq!(
        here().by_alias(alias).unwrap(),
        [unloaded("ip_set_hash_mac")]
    );
    // An alias that can be a module's name.
    unloaded("geneve");
    let alias = here().by_alias("rtnl-link-geneve").unwrap();
    assert_eq!(alias, [name("geneve")]);
    rule("blacklist geneve");
    let status = cmd("modprobe rtnl-link-geneve && echo yes");
    assert_eq!((&*status, is_loaded(&name("geneve"))), ("yes\n", false));
    assert_forbidden("rtnl-link-geneve", &Directive::Blacklist);
    assert_eq!(here().forbidden_by(&name("geneve")).unwrap(), None);
    let loaded = here().load(&name("geneve")).unwrap();
    assert_eq!(loaded, LoadOutcome::ByModprobe);
}

fn an_alias_to_nothing_is_named() {
    let dh = unloaded("ip_vs_dh");
    rule("alias ip_vs_dh off");
    assert_eq!(cmd("modprobe ip_vs_dh 2>/dev/null || echo no"), "no\n");
    assert_forbidden("ip_vs_dh", &Directive::Alias("off".to_owned()));
    assert!(!is_loaded(&dh));
}

fn another_install_command_is_modprobes_to_run() {
    let dh = unloaded("ip_vs_dh");
    rule("install ip_vs_dh /sbin/modprobe --ignore-install ip_vs_dh");
    assert_eq!(here().forbidden_by(&dh).unwrap(), None);
    assert_eq!(here().load(&dh).unwrap(), LoadOutcome::ByModprobe);
    unloaded("ip_vs_dh");
    rule("install ip_vs_dh echo something else; true");
    let error = here().load(&dh).unwrap_err();
    assert!(matches!(error, Error::NotLoaded { .. }), "{error}");
    let shown = error.to_string();
    let text = "rule.conf line 2: install ip_vs_dh echo something else; true";
    assert!(shown.contains(text), "{shown}");
    // A command that fails speaks for itself.
    rule("install ip_vs_dh echo not today >&2; exit 1");
    let error = here().load(&dh).unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
}
