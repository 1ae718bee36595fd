//! File trees made for the purpose.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{Compression, Directive, ModuleState, RejectReason};

const RELEASE: &str = "6.1.0-test";

/// A file tree.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.file("proc/version", "Linux version 6.1.0-test\n");
        tree
    }

    /// As [`Tree::new`], of a kernel with modules.
    fn with_modules() -> Self {
        let tree = Self::new();
        tree.file("proc/modules", "nf_conntrack 99163 0 - Live 0x0\n");
        tree.listed("modules.dep", DEPENDENCIES);
        for line in DEPENDENCIES.lines() {
            tree.listed(line.split_once(':').unwrap().0, "");
        }
        tree
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn listed(&self, path: &str, text: &str) {
        self.file(&format!("lib/modules/{RELEASE}/{path}"), text);
    }

    fn modules(&self) -> Modules {
        Modules::at(self.0.path(), RELEASE)
    }

    fn presence(&self, name: &str) -> Presence {
        self.modules().presence(&name.parse().unwrap()).unwrap()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("lib/modules").join(RELEASE).join(path)
    }
}

/// In the form of depmod 30, each compression once.
const DEPENDENCIES: &str = "\
kernel/net/netfilter/nf_conntrack.ko.xz:
kernel/net/netfilter/ipvs/ip_vs.ko: kernel/net/netfilter/nf_conntrack.ko.xz
kernel/net/netfilter/ipvs/ip_vs_rr.ko.zst: kernel/net/netfilter/ipvs/ip_vs.ko kernel/net/netfilter/nf_conntrack.ko.xz
kernel/net/netfilter/xt_MASQUERADE.ko.gz: kernel/net/netfilter/nf_conntrack.ko.xz
kernel/drivers/misc/dummy-irq.ko:
";

#[test]
fn a_loaded_module_is_loaded() {
    let tree = Tree::with_modules();
    let live = Presence::Loaded(ModuleState::Live);
    assert_eq!(tree.presence("nf_conntrack"), live);
    assert!(live.is_ready() && live.is_available());
    // By /sys alone, which some containers have without /proc/modules.
    tree.file("sys/module/ip_vs/initstate", "going\n");
    let leaving = tree.presence("ip_vs");
    assert_eq!(leaving, Presence::Loaded(ModuleState::Unloading));
    assert!(!leaving.is_ready());
}

#[test]
fn built_in_is_known_from_three_places() {
    let tree = Tree::with_modules();
    tree.file("sys/module/nf_nat/parameters/x", "1\n");
    tree.listed(
        "modules.builtin",
        "kernel/net/ipv6/ipv6.ko\nkernel/net/sched/sch-x.ko\n",
    );
    tree.listed(
        "modules.builtin.modinfo",
        "unix.license=GPL\0crc-t10dif.alias=crypto-crct10dif\0",
    );
    for name in [
        "nf_nat",
        "ipv6",
        "sch_x",
        "unix",
        "crc_t10dif",
        "crc-t10dif",
    ] {
        assert_eq!(tree.presence(name), Presence::BuiltIn, "{name}");
        let outcome = tree.modules().load(&name.parse().unwrap()).unwrap();
        assert_eq!(outcome, LoadOutcome::AlreadyLoaded);
    }
}

#[test]
fn a_loadable_module_has_its_file() {
    let tree = Tree::with_modules();
    for (name, file, compression) in [
        ("ip_vs", "kernel/net/netfilter/ipvs/ip_vs.ko", None),
        (
            "ip_vs_rr",
            "kernel/net/netfilter/ipvs/ip_vs_rr.ko.zst",
            Some(Compression::Zstd),
        ),
        (
            "xt_MASQUERADE",
            "kernel/net/netfilter/xt_MASQUERADE.ko.gz",
            Some(Compression::Gzip),
        ),
        ("dummy_irq", "kernel/drivers/misc/dummy-irq.ko", None),
    ] {
        let name: ModuleName = name.parse().unwrap();
        let path = tree.path(file);
        let expected = Presence::Loadable(ModuleFile {
            name: name.clone(),
            path: path.clone(),
            compression,
        });
        assert_eq!(tree.presence(name.as_str()), expected);
        assert!(expected.is_available() && !expected.is_ready());
        assert_eq!(
            expected.to_string(),
            format!("loadable from {}", path.display())
        );
    }
}

#[test]
fn dependencies_come_first() {
    let tree = Tree::with_modules();
    let index = Index {
        folder: tree.path(""),
    };
    let files = index.files(&"ip_vs_rr".parse().unwrap()).unwrap().unwrap();
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["nf_conntrack", "ip_vs", "ip_vs_rr"]);
    assert_eq!(files[0].compression, Some(Compression::Xz));
}

#[test]
fn an_alias_stands_for_its_modules() {
    let tree = Tree::with_modules();
    tree.listed(
        "modules.alias",
        "# Aliases extracted from modules themselves.\n\
         alias net-pf-16-proto-16-family-IPVS ip_vs\n\
         alias ipt_MASQUERADE xt_MASQUERADE\n\
         alias ipt_MASQUERADE gone\n\
         alias pci:v000010ECd0000816[89]sv*sd* dummy_irq\n\
         alias ip_set_hash:ip,port ip_set_hash_ipport\n",
    );
    tree.listed("modules.builtin.modinfo", "unix.alias=net-pf-1\0");
    let by_alias = |alias: &str| tree.modules().by_alias(alias).unwrap();
    let named = |name: &str| vec![name.parse::<ModuleName>().unwrap()];
    assert_eq!(by_alias("net-pf-16-proto-16-family-IPVS"), named("ip_vs"));
    assert_eq!(by_alias("ip_set_hash:ip,port"), named("ip_set_hash_ipport"));
    assert_eq!(by_alias("pci:v000010ECd00008168sv1sd2"), named("dummy_irq"));
    assert_eq!(by_alias("net-pf-1"), named("unix"));
    assert_eq!(by_alias("net-pf-2"), []);
    // Where there is a module of the name itself, no alias is asked.
    let Presence::Loadable(file) = tree.presence("ipt_MASQUERADE") else {
        panic!("an alias of a module is not found");
    };
    assert_eq!(file.name.as_str(), "xt_MASQUERADE");
}

#[track_caller]
fn assert_absent(tree: &Tree, name: &str, expected: &Absence) {
    let presence = tree.presence(name);
    assert_eq!(presence, Presence::Absent(expected.clone()));
    assert!(!presence.is_available());
    let error = tree.modules().load(&name.parse().unwrap()).unwrap_err();
    assert!(matches!(&error, Error::Absent { reason, .. } if reason == expected));
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn each_absence_has_its_reason() {
    let tree = Tree::with_modules();
    let folder = tree.path("").join("");
    let folder = folder.components().collect::<PathBuf>();
    assert_absent(&tree, "ip_vs_mh", &Absence::NotListed { folder });

    let path = tree.path("kernel/net/netfilter/ipvs/ip_vs.ko");
    fs::remove_file(&path).unwrap();
    assert_absent(&tree, "ip_vs_rr", &Absence::FileMissing { path });

    let list = tree.path("modules.dep");
    fs::remove_file(&list).unwrap();
    assert_absent(&tree, "ip_vs", &Absence::NoList { list });

    fs::remove_dir_all(tree.path("")).unwrap();
    let release = RELEASE.to_owned();
    assert_absent(&tree, "ip_vs", &Absence::NoFolder { release });

    assert_absent(&Tree::new(), "ip_vs", &Absence::NoModuleSupport);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let tree = Tree::with_modules();
    let list = tree.path("modules.dep");
    fs::remove_file(&list).unwrap();
    fs::create_dir(&list).unwrap();
    let error = tree
        .modules()
        .presence(&"ip_vs".parse().unwrap())
        .unwrap_err();
    assert!(
        matches!(&error, Error::Read { path, .. } if *path == list),
        "{error}"
    );
}

#[test]
fn some_distributions_have_no_lib_beside_usr() {
    let tree = Tree::new();
    tree.file(
        &format!("usr/lib/modules/{RELEASE}/modules.dep"),
        "kernel/a.ko:\n",
    );
    tree.file(&format!("usr/lib/modules/{RELEASE}/kernel/a.ko"), "");
    assert!(matches!(tree.presence("a"), Presence::Loadable(_)));
}

#[test]
fn garbage_in_lists_is_skipped() {
    let tree = Tree::with_modules();
    tree.listed(
        "modules.dep",
        "\0\u{fffd}\n:::\nno colon\n.ko:\nkernel/a.ko: b c.ko\n",
    );
    tree.listed("modules.builtin.modinfo", "=\0.=\0a\0\0");
    tree.listed("modules.alias", "alias\nalias \nalias x\nalias [ y\n");
    tree.listed("kernel/a.ko", "");
    tree.listed("c.ko", "");
    assert!(matches!(tree.presence("a"), Presence::Loadable(_)));
    assert!(matches!(tree.presence("b"), Presence::Absent(_)));
}

fn forbidden_by(tree: &Tree, name: &str) -> Option<Directive> {
    let rule = tree.modules().forbidden_by(&name.parse().unwrap()).unwrap();
    rule.map(|rule| rule.directive)
}

/// Each case in a tree of its own: the rule, the name asked for, and whether the rule forbids it.
#[test]
fn rules_forbid_modules_their_aliases_and_what_depends_on_them() {
    for (rule, name, is_forbidden) in [
        ("install ip_vs /bin/true", "ip_vs", true),
        ("install ip-vs /usr/bin/false", "ip_vs_rr", true),
        ("install ip_vs_rr /bin/true", "ip_vs", false),
        ("install ip_vs /sbin/modprobe -i ip_vs", "ip_vs", false),
        ("blacklist ip_vs", "ip_vs", false),
        ("blacklist ip_vs", "net-pf-16-proto-16-family-IPVS", true),
        ("blacklist ip_vs", "ip_vs_rr", false),
        ("install ip_vs true", "net-pf-16-proto-16-family-IPVS", true),
        ("alias ip_vs off", "ip_vs", true),
        ("alias ip_vs dummy-irq", "ip_vs", false),
        ("alias ip_* off", "dummy_irq", false),
        // It is loaded already.
        ("install nf_conntrack /bin/true", "ip_vs", false),
    ] {
        let tree = Tree::with_modules();
        tree.listed(
            "modules.alias",
            "alias net-pf-16-proto-16-family-IPVS ip_vs\n",
        );
        tree.file("etc/modprobe.d/rule.conf", &format!("{rule}\n"));
        let found = forbidden_by(&tree, name);
        assert_eq!(found.is_some(), is_forbidden, "{rule} {name} {found:?}");
        if is_forbidden {
            let error = tree.modules().load(&name.parse().unwrap()).unwrap_err();
            assert!(matches!(error, Error::Forbidden { .. }), "{error}");
            let shown = error.to_string();
            let place = format!("etc/modprobe.d/rule.conf line 1: {rule}");
            assert!(shown.contains(&place), "{shown}");
        }
    }
}

#[test]
fn the_kernels_blacklist_forbids_by_any_name() {
    let tree = Tree::with_modules();
    tree.file("proc/cmdline", "quiet module_blacklist=floppy,ip_vs\n");
    for name in ["ip_vs", "ip_vs_rr"] {
        let directive = forbidden_by(&tree, name);
        assert_eq!(directive, Some(Directive::KernelBlacklist));
    }
    assert_eq!(forbidden_by(&tree, "dummy_irq"), None);
}

/// Which failures of `modprobe` a rule explains.
#[test]
fn a_rule_explains_only_the_failures_that_it_causes() {
    let tree = Tree::with_modules();
    tree.file("proc/self/status", "CapEff:\t000001ffffffffff\n");
    tree.file("proc/cmdline", "module_blacklist=ip_vs\n");
    tree.file(
        "etc/modprobe.d/rule.conf",
        "install dummy-irq /bin/false\nalias xt_MASQUERADE off\n",
    );
    let rejected = |reason| Error::Rejected {
        module: "ip_vs".parse().unwrap(),
        reason,
    };
    let failed = || Error::Modprobe {
        program: "/sbin/modprobe".into(),
        module: "ip_vs".parse().unwrap(),
        status: std::process::ExitStatus::default(),
        stderr: String::new(),
    };
    let not_permitted = || rejected(RejectReason::NotPermitted);
    let unknown_symbol = || rejected(RejectReason::UnknownSymbol);
    let explains = |module: &str, error: Error| {
        let rule = tree.modules().forbidden_by(&module.parse().unwrap());
        tree.modules()
            .explains(&rule.unwrap().unwrap(), &error)
            .unwrap()
    };
    for (module, error, is_explained) in [
        ("ip_vs", not_permitted(), true),
        ("ip_vs", rejected(RejectReason::LockedDown), true),
        ("ip_vs", rejected(RejectReason::Signature), false),
        ("ip_vs", unknown_symbol(), false),
        ("ip_vs", failed(), true),
        ("dummy_irq", failed(), true),
        ("dummy_irq", not_permitted(), false),
        ("xt_MASQUERADE", unknown_symbol(), true),
        ("xt_MASQUERADE", not_permitted(), false),
    ] {
        let shown = error.to_string();
        assert_eq!(explains(module, error), is_explained, "{module} {shown}");
    }
    // Without the capability, that is what is missing.
    tree.file("proc/self/status", "CapEff:\t00000000a80425fb\n");
    assert!(!explains("ip_vs", not_permitted()));
}

#[test]
fn a_pipe_among_the_files_is_not_waited_for() {
    let tree = Tree::with_modules();
    fs::create_dir_all(tree.0.path().join("etc/modprobe.d")).unwrap();
    let pipe = tree.0.path().join("etc/modprobe.d/pipe.conf");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert_eq!(forbidden_by(&tree, "ip_vs"), None);
}
