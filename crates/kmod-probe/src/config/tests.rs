//! Configuration files made for the purpose; `tests/kernel` holds the same against `modprobe`.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

struct Tree(TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn config(&self) -> Configuration {
        Configuration::read(self.0.path()).unwrap()
    }
}

fn name(name: &str) -> ModuleName {
    name.parse().unwrap()
}

/// As displayed, with the file's name alone.
fn shown(rule: Option<&Rule>) -> Option<String> {
    let rule = rule?;
    let folder = format!("{}/", rule.path.parent().unwrap().display());
    Some(rule.to_string().strip_prefix(&folder).unwrap().to_owned())
}

#[test]
fn each_directive_is_found_with_its_line() {
    let tree = Tree::new(&[(
        "etc/modprobe.d/cis.conf",
        "# install ip_vs /bin/true\n\
         \n\
         install sctp /bin/true\n\
         install\tdccp\t /usr/bin/false \n\
         blacklist ip-vs\n\
         alias net-pf-10 off\n\
         install ip_tables /sbin/modprobe --ignore-install ip_tables; \\\n\
         \x20 /bin/true\n\
         install nf_tables true\n\
         install vrf /bin/true && /sbin/modprobe --ignore-install vrf\n\
         options ip_vs conn_tab_bits=20\n\
         blacklist\n\
         install nothing\n",
    )]);
    let config = tree.config();
    assert_eq!(
        shown(config.no_op_install(&name("sctp"))).unwrap(),
        "cis.conf line 3: install sctp /bin/true"
    );
    assert_eq!(config.no_op_install(&name("dccp")).unwrap().line, 4);
    assert_eq!(config.blacklist(&name("ip_vs")).unwrap().line, 5);
    assert_eq!(config.blacklist(&name("sctp")), None);
    let aliases: Vec<_> = config.aliases("net-pf-10").collect();
    assert_eq!((aliases.len(), aliases[0].0), (1, "off"));
    // It loads the module all the same.
    let custom = config.install(&name("ip_tables")).unwrap();
    assert_eq!(config.no_op_install(&name("ip_tables")), None);
    let command = "/sbin/modprobe --ignore-install ip_tables;   /bin/true";
    assert_eq!(custom.directive, Directive::Install(command.to_owned()));
    // A continued line counts as two.
    assert_eq!(config.no_op_install(&name("nf_tables")).unwrap().line, 9);
    assert!(config.install(&name("vrf")).is_some());
    assert_eq!(config.no_op_install(&name("vrf")), None);
    assert_eq!(config.install(&name("nothing")), None);
}

#[test]
fn install_names_are_patterns_and_the_first_counts() {
    let tree = Tree::new(&[(
        "etc/modprobe.d/a.conf",
        "install ip-vs* /bin/false\ninstall ip_vs_rr /sbin/modprobe -i ip_vs_rr\n",
    )]);
    let config = tree.config();
    assert_eq!(config.no_op_install(&name("ip_vs_rr")).unwrap().line, 1);
    assert!(config.no_op_install(&name("ip_vs")).is_some());
    assert_eq!(config.install(&name("nf_conntrack")), None);
}

#[test]
fn an_earlier_directory_overrides_a_file_of_the_same_name() {
    let tree = Tree::new(&[
        ("usr/lib/modprobe.d/sctp.conf", "install sctp /bin/true\n"),
        ("run/modprobe.d/sctp.conf", "blacklist sctp\n"),
        ("lib/modprobe.d/vendor.conf", "install dccp /bin/false\n"),
        ("usr/local/lib/modprobe.d/b.conf", "install x /bin/true\n"),
        ("etc/modprobe.d/b.conf", "\n"),
        ("etc/modprobe.d/notes.txt", "install ip_vs /bin/true\n"),
        ("etc/modprobe.d/.hidden.conf", "install ip_vs /bin/true\n"),
        ("etc/modprobe.d/folder.conf/x", ""),
    ]);
    symlink(
        "/dev/null",
        tree.0.path().join("etc/modprobe.d/vendor.conf"),
    )
    .unwrap();
    let config = tree.config();
    assert!(config.blacklist(&name("sctp")).is_some());
    for module in ["sctp", "dccp", "x", "ip_vs"] {
        assert_eq!(config.install(&name(module)), None, "{module}");
    }
}

#[test]
fn the_kernels_command_line_forbids_modules_too() {
    let tree = Tree::new(&[(
        "proc/cmdline",
        "ro quiet modprobe.blacklist=sctp,ip-vs module_blacklist=dccp ip_vs.conn_tab_bits=20\n",
    )]);
    let config = tree.config();
    assert!(config.blacklist(&name("ip_vs")).is_some());
    assert_eq!(config.blacklist(&name("dccp")), None);
    assert_eq!(
        shown(config.kernel_blacklist(&name("dccp"))).unwrap(),
        "cmdline line 1: module_blacklist=dccp"
    );
    assert_eq!(config.kernel_blacklist(&name("sctp")), None);
}

#[test]
fn a_rule_is_shown_on_one_line_of_bounded_length() {
    let text = format!("install sctp echo '\u{1b}[31m{}'\n", "x".repeat(4000));
    let tree = Tree::new(&[("etc/modprobe.d/a.conf", &text)]);
    let config = tree.config();
    let shown = config.install(&name("sctp")).unwrap().to_string();
    assert!(shown.contains("echo '\\u{1b}[31mxxx"), "{shown}");
    assert!(shown.ends_with("x…") && shown.len() < 400, "{shown}");
}

#[test]
fn any_text_is_read() {
    let tree = Tree::new(&[(
        "etc/modprobe.d/a.conf",
        "\\\n\\\\\ninstall [a-\u{fffd} /bin/true\nalias [ x\nblacklist /\n\0\n\\",
    )]);
    let config = tree.config();
    assert_eq!(config.install(&name("a")), None);
    assert_eq!(config.aliases("x").count(), 0);
}

#[test]
fn all_directives_are_read_as_values() {
    let tree = Tree::new(&[
        (
            "etc/modprobe.d/b.conf",
            "# comment\n\
             \x20 # another\n\
             options ip-vs conn_tab_bits=20 \\\n\
             debug_level=3\n\
             softdep ip_vs pre: nf_conntrack  libcrc32c post: ip_vs_rr\n\
             softdep ip_vs nothing\n\
             softdep nf_* post: nf_nat\n\
             remove ip_vs* /sbin/modprobe -r --ignore-remove ip_vs\n\
             remove ip_vs\n\
             options ip_vs\n\
             include /etc/other\n",
        ),
        ("run/modprobe.d/a.conf", "options ip_vs first=1\n"),
        (
            "proc/cmdline",
            "ro ip_vs.last=7 ip_vs.flag .x=1 modprobe.x=1 a.b.c=d\n",
        ),
    ]);
    let config = tree.config();
    let shown: Vec<_> = config
        .rules()
        .map(|rule| (rule.name.as_str(), rule.line, rule.directive.clone()))
        .collect();
    let options = |text: &str| Directive::Options(text.to_owned());
    let words = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect();
    let soft = |pre, post| Directive::SoftDependencies {
        pre: words(pre),
        post: words(post),
    };
    let expected = [
        ("ip_vs", 1, options("first=1")),
        ("ip-vs", 3, options("conn_tab_bits=20 debug_level=3")),
        ("ip_vs", 5, soft("nf_conntrack libcrc32c", "ip_vs_rr")),
        ("nf_*", 7, soft("", "nf_nat")),
        (
            "ip_vs*",
            8,
            Directive::Remove("/sbin/modprobe -r --ignore-remove ip_vs".to_owned()),
        ),
        ("ip_vs", 1, options("last=7")),
        ("ip_vs", 1, options("flag")),
        ("a", 1, options("b.c=d")),
    ];
    assert_eq!(shown, expected);

    assert_eq!(config.about(&name("ip_vs")).count(), 6);
    assert_eq!(
        config.options(&name("ip-vs")),
        "first=1 conn_tab_bits=20 debug_level=3 last=7 flag"
    );
    assert_eq!(config.options(&name("ip_vs_rr")), "");
    // What sets parameters or an order forbids nothing.
    assert_eq!(config.install(&name("ip_vs")), None);
    assert_eq!(config.blacklist(&name("ip_vs")), None);
}
