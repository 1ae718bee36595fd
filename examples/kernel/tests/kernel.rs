//! The examples on a real kernel, beside the reference tools.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, ExitCode, Output};

use kernel_test::{Needs, cmd, tests, try_cmd};

use self::support::{sorted, virtual_servers};

fn main() -> ExitCode {
    let guest = tests![
        ipvs_list_prints_what_ipvsadm_prints,
        ipset_list_prints_what_ipset_prints,
        ipset_swap_replaces_all_or_nothing,
        conntrack_list_lists_what_conntrack_lists,
        dummy_links_are_those_of_ip,
        modules_are_those_of_the_kernel,
    ];
    // On this machine's kernel: of iptables the flavour that the machine uses.
    let here = tests![
        links_are_looked_up_in_one_call,
        iptables_diff_says_what_restore_does,
        a_kernel_without_ipvs_is_said,
    ]
    .map(|test| test.needs(Needs::NetNamespace));
    kernel_test::main(guest.into_iter().chain(here))
}

macro_rules! example {
    ($name:literal $(, $arg:expr)* $(,)?) => {
        Ran::of(env!(concat!("CARGO_BIN_EXE_", $name)), &[$($arg.as_ref()),*])
    };
}

#[derive(Debug, PartialEq)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(program: &str, args: &[&OsStr]) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(program).args(args).output().unwrap();
        Self {
            status: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// What it printed, having succeeded.
    #[track_caller]
    fn good(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// What it complained of, with the status for that.
    #[track_caller]
    fn bad(self) -> String {
        assert_eq!((self.status, self.out.as_str()), (2, ""), "{}", self.err);
        self.err
    }
}

fn ipvs_list_prints_what_ipvsadm_prints() {
    let empty = example!("ipvs-list").good();
    assert_eq!(empty, cmd("ipvsadm -Ln"));
    virtual_servers();
    assert_eq!(example!("ipvs-list").good(), cmd("ipvsadm -Ln"));
    for option in ["--stats", "--rate"] {
        assert_eq!(
            example!("ipvs-list", option, "--exact").good(),
            cmd(&format!("ipvsadm -Ln {option} --exact"))
        );
    }
    assert!(
        example!("ipvs-list", "--stats", "--rate")
            .bad()
            .contains("--rate")
    );
}

fn ipset_list_prints_what_ipset_prints() {
    assert_eq!(example!("ipset-list").good(), "");
    cmd("ipset create web hash:ip,port timeout 600 && ipset add web 10.0.0.1,tcp:80 timeout 0");
    cmd("ipset create all list:set && ipset add all web");
    cmd("iptables-legacy -A INPUT -m set --match-set web dst,dst -j ACCEPT");
    assert_eq!(example!("ipset-list").good(), cmd("ipset list"));
    assert_eq!(example!("ipset-list", "web").good(), cmd("ipset list web"));
    assert_eq!(example!("ipset-list", "--save").good(), cmd("ipset save"));
    assert_eq!(
        example!("ipset-list", "--names").good(),
        cmd("ipset list -n")
    );
    assert!(example!("ipset-list", "none").bad().contains("none"));
}

fn conntrack_list_lists_what_conntrack_lists() {
    assert_eq!(example!("conntrack-list").good(), "");
    let udp = "-p udp -s 10.0.0.1 --sport 40000 --dport 53 -t 300";
    for flow in [
        &format!("{udp} -d 10.96.0.10"),
        &format!(
            "{udp} -d 10.96.0.11 -r 10.244.1.5 -q 10.0.0.1 --reply-port-src 53 --reply-port-dst 40000"
        ),
        "-p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 7 -t 300",
        "-p tcp -s fd00::1 -d fd00::2 --sport 40000 --dport 443 --state ESTABLISHED -t 300",
    ] {
        cmd(&format!("conntrack -I {flow} 2>/dev/null"));
    }
    // What it does not show is left out of what conntrack does: timeouts, states, marks.
    let theirs = |arguments: &str| {
        let listed = cmd(&format!("conntrack -L {arguments} 2>/dev/null"));
        let mut flows: Vec<_> = listed
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                let named = words[2..].iter().filter(|word| {
                    word.contains('=') && !word.starts_with("mark=") && !word.starts_with("use=")
                });
                let named: Vec<_> = named.copied().collect();
                format!("{:<8} {} {}", words[0], words[1], named.join(" "))
            })
            .collect();
        flows.sort_unstable();
        flows
    };
    assert_eq!(theirs("-f ipv4").len(), 3);
    let ours = example!("conntrack-list").good();
    assert_eq!(sorted(&ours), theirs("-f ipv4"));
    let ours = example!("conntrack-list", "-6").good();
    assert_eq!(sorted(&ours), theirs("-f ipv6"));
    let ours = example!("conntrack-list", "--protocol=udp", "-d", "10.96.0.10").good();
    assert_eq!(sorted(&ours), theirs("-p udp -d 10.96.0.10"));

    let deleting = example!(
        "conntrack-list",
        "--delete",
        "-r",
        "10.244.1.5",
        "-p",
        "udp"
    );
    assert_eq!(deleting.good(), "1 flows deleted\n");
    assert_eq!(theirs("-p udp").len(), 1);
    assert!(
        example!("conntrack-list", "-p", "udq")
            .bad()
            .contains("udq")
    );
}

fn ipset_swap_replaces_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("entries");
    let spec = "web hash:net maxelem 2";
    let members = || cmd("ipset list web | sed '1,/^Members/d' | sort");

    fs::write(
        &file,
        "# ours\n10.0.0.0/8\n192.0.2.0/24 # and theirs\n\n10.0.0.0/8\n",
    )
    .unwrap();
    assert_eq!(
        example!("ipset-swap", spec, &file, "--dry-run").good(),
        "web: 2 entries\n"
    );
    assert!(try_cmd("ipset list web").is_err());
    assert_eq!(
        example!("ipset-swap", spec, &file).good(),
        "web: 2 entries\n"
    );
    assert_eq!(members(), "10.0.0.0/8\n192.0.2.0/24\n");

    fs::write(&file, "198.51.100.0/24\n").unwrap();
    cmd("iptables-legacy -A INPUT -m set --match-set web src -j DROP");
    example!("ipset-swap", spec, &file).good();
    assert_eq!(members(), "198.51.100.0/24\n");

    for (entries, says) in [
        ("10.0.0.0/8\n10.0.0.300\n", ":2: "),
        ("10.0.0.0/8\nfd00::/8\n", ":2: "),
        ("1.0.0.0/8\n2.0.0.0/8\n3.0.0.0/8\n", "full"),
    ] {
        fs::write(&file, entries).unwrap();
        let error = example!("ipset-swap", spec, &file).bad();
        assert!(error.contains(says), "{error}");
        assert_eq!(members(), "198.51.100.0/24\n");
    }
    assert_eq!(cmd("ipset list -n"), "web\n", "nothing is left over");
}

fn dummy_links_are_those_of_ip() {
    let shown = example!("dummy-links", "ours0", "10.96.0.1", "fd00::1/64").good();
    assert_eq!(
        shown,
        "ours0: Changed\nours0 10.96.0.1/32: Changed\nours0 fd00::1/64: Changed\n\
         lo              127.0.0.1/8 ::1/128\nours0           10.96.0.1/32 fd00::1/64\n"
    );
    let listed = cmd("ip -o addr show dev ours0 | awk '{print $4}'");
    assert_eq!(listed, "10.96.0.1/32\nfd00::1/64\n");
    cmd("ip addr add 192.0.2.1/24 dev ours0");
    assert!(
        example!("dummy-links")
            .good()
            .ends_with("10.96.0.1/32 192.0.2.1/24 fd00::1/64\n")
    );
    example!("dummy-links", "ours0", "--delete").good();
    assert!(try_cmd("ip link show ours0").is_err());
    assert!(example!("dummy-links", "lo").bad().contains("lo"));
    assert!(
        example!("dummy-links", "ours0", "10.96.0.300")
            .bad()
            .contains("10.96.0.300")
    );
}

fn modules_are_those_of_the_kernel() {
    let shown = example!("modules", "--scheduler", "sed", "--load").good();
    assert!(shown.ends_with("nf_conntrack: loaded\n"), "{shown}");
    assert!(cmd("cat /proc/modules").contains("ip_vs_sed "));
    assert!(
        example!("modules", "--scheduler", "sed")
            .good()
            .contains("ip_vs_sed: loaded\n")
    );

    let none = example!("modules", "--scheduler", "none-such");
    assert_eq!(none.status, 1);
    assert!(
        none.out
            .contains("ip_vs_none_such: absent: it is not among the modules"),
        "{}",
        none.out
    );
    let elsewhere = example!("modules", "--root", "/nowhere", "--release", "6.1.0");
    assert_eq!(elsewhere.status, 1);
    assert!(
        elsewhere.out.contains("there is no /lib/modules/6.1.0"),
        "{}",
        elsewhere.out
    );
}

fn iptables_diff_says_what_restore_does() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = folder.path().join("wanted");
    cmd("iptables -t nat -N WEB && iptables -t nat -A WEB -s 10.0.0.0/8 -j RETURN");
    cmd("iptables -t nat -A WEB -j MASQUERADE");
    fs::write(
        &wanted,
        "*nat\n:WEB - [0:0]\n:MARK-IT - [0:0]\n-A WEB -s 10.0.0.0/8 -j RETURN\n-A WEB -j MARK-IT\nCOMMIT\n",
    )
    .unwrap();
    let diff = example!("iptables-diff", &wanted);
    assert_eq!(
        diff.out,
        "*nat WEB\n- -A WEB -j MASQUERADE\n+ -A WEB -j MARK-IT\n*nat MARK-IT\n+ :MARK-IT -\n"
    );
    assert_eq!(diff.status, 1);

    let text = example!("iptables-diff", &wanted, "--restore");
    kernel_test::cmd_input("iptables-restore --noflush", &text.out);
    assert_eq!(example!("iptables-diff", &wanted).good(), "");

    fs::write(&wanted, "*nat\n:WEB - [0:0]\n-A WEB -j NO-SUCH\nCOMMIT\n").unwrap();
    assert!(example!("iptables-diff", &wanted).bad().contains("NO-SUCH"));
}

fn links_are_looked_up_in_one_call() {
    cmd("ip link add v0 type veth peer name v1");
    let ran = example!("netlink-batch-links", "v1", "none", "lo");
    let index = cmd("cat /sys/class/net/v1/ifindex");
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(ran.status, 1);
    assert_eq!(
        [lines[0], lines[2]],
        [
            &format!("{}: v1 veth down", index.trim()),
            "1: lo device up"
        ]
    );
    assert!(
        lines[1].starts_with("none: ") && lines[1].contains("No such device"),
        "{}",
        lines[1]
    );
}

fn a_kernel_without_ipvs_is_said() {
    if try_cmd("modprobe -n ip_vs && test -e /lib/modules/$(uname -r)").is_ok() {
        return; // This one has it.
    }
    assert!(
        example!("ipvs-list")
            .bad()
            .contains("the kernel has no IPVS")
    );
}
