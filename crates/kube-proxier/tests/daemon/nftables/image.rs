//! An image with nothing but the program: from a root folder that holds it, `/proc`, `/sys`, and the configuration.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel_test::{cmd, try_cmd};
use proxier::cluster::Family;
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::topology::POD;

use super::{PODS, config, left_of_ours, reach, topology};
use crate::api_server::ApiServer;
use crate::cluster::{STEADY, service, slice, steady};
use crate::daemon::{BINARY, Setup};
use crate::process::output;

/// Where the program is in the folder, as `deploy/Dockerfile.scratch` has it.
const PROGRAM: &str = "kube-proxier";

/// The root folder. What it holds is mounted there, and unmounted when this is dropped.
struct Root(PathBuf);

impl Root {
    fn new(configuration: &Path) -> Self {
        let root = std::env::temp_dir().join(format!("root-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        cmd(&format!("mount -t tmpfs root {}", root.display()));
        let root = Self(root);
        root.file(Path::new(BINARY), PROGRAM);
        // A static program, which images are made of, has no libraries; the one that `cargo test` builds has these.
        let libraries = try_cmd(&format!("ldd {BINARY}")).unwrap_or_default();
        let paths = libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for library in paths {
            root.file(Path::new(library), library);
        }
        println!("beside the program: {:?}", root.held());
        for (kind, name) in [("proc", "proc"), ("sysfs", "sys")] {
            let folder = root.0.join(name);
            fs::create_dir(&folder).unwrap();
            cmd(&format!("mount -t {kind} {name} {}", folder.display()));
        }
        let folder = root.inside(configuration);
        fs::create_dir_all(&folder).unwrap();
        cmd(&format!(
            "mount --bind {} {}",
            configuration.display(),
            folder.display()
        ));
        root
    }

    fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn file(&self, from: &Path, to: impl AsRef<Path>) {
        let to = self.inside(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        drop(File::create(&to).unwrap());
        cmd(&format!("mount --bind {} {}", from.display(), to.display()));
    }

    /// All files.
    fn held(&self) -> Vec<String> {
        let found = cmd(&format!("cd {} && find . -xdev -type f", self.0.display()));
        found.lines().map(str::to_owned).collect()
    }

    /// A command that runs the program there, with no variable but an empty `PATH`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command
            .arg(&self.0)
            .arg(format!("/{PROGRAM}"))
            .args(arguments);
        command.env_clear().env("PATH", "");
        command
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let root = self.0.display();
        let _ = try_cmd(&format!("umount --recursive {root}; rmdir {root}"));
    }
}

/// It finds by itself that `nftables` is the layout, says why, proxies, is killed and started again, checks the machine and
/// cleans up.
pub(crate) fn with_nothing_but_the_program() {
    let net = topology();
    let server = ApiServer::start();
    let pod = POD.of(Family::V4).to_string();
    steady(&server, &[&pod]);
    let setup = Setup::new(&server, &format!("{PODS}ipvs: {{minSyncPeriod: 100ms}}\n"));
    let root = Root::new(setup.folder());
    let held = root.held();
    let others = held.iter().filter(|file| !file.contains(".so"));
    assert!(others.eq([&format!("./{PROGRAM}")]), "{held:?}");
    let arguments = [&*setup.config_flag(), "--layout=auto"];
    let mut daemon = setup.started_by(root.command(&arguments));
    reach(&mut daemon, &server, &config());
    let log = setup.log();
    for told in [
        " layout=\"nftables\"",
        "this machine lacks what current needs: iptables",
    ] {
        assert!(log.contains(told), "no {told}: {log}");
    }
    let to = format!("{STEADY}:80").parse().unwrap();
    let (mut open, _) = Conversation::with(&net.client, to);
    for protocol in Protocol::BOTH {
        for from in [&net.client, &net.pod, &net.node] {
            assert_eq!(answer(from, protocol, to).by, "pod");
        }
    }
    let doctor = |named: &str| {
        let arguments = [
            "doctor",
            "--output=json",
            &setup.config_flag(),
            "--layout=auto",
        ];
        let (status, said) = output(root.command(&arguments));
        assert_eq!(status, Some(0), "{said}");
        let checks: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
        let check = checks.iter().find(|check| check["name"] == named);
        check
            .unwrap_or_else(|| panic!("no {named}: {said}"))
            .clone()
    };
    let layout = doctor("layout")["found"].to_string();
    assert!(
        layout.contains("nftables: this machine lacks what current needs: iptables"),
        "{layout}"
    );
    assert_eq!(doctor("virtual servers")["verdict"], "works");

    daemon.kill();
    server.put(service("other", "10.96.0.11"));
    server.put(slice("other", &[pod]));
    let mut daemon = setup.started_by(root.command(&arguments));
    reach(&mut daemon, &server, &config());
    open.say("it is there again");
    daemon.kill();
    let (status, said) = output(root.command(&["--cleanup"]));
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(left_of_ours(), "");
    assert_eq!(cmd("ipvsadm -Sn"), "");
}
