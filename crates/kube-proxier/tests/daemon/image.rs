//! The image with Debian's iptables, as a container runtime would start it:
//!
//! ```sh
//! deploy/image kube-proxier.tar && mkdir image && tar -xf kube-proxier.tar -C image
//! umoci unpack --image image:kube-proxier:0.2.0 bundle
//! KUBE_PROXIER_IMAGE=$PWD/bundle cargo test -p kube-proxier --test daemon -- --ignored image::
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel_test::{cmd, try_cmd};
use serde_json::Value;

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, slice, steady};
use crate::daemon::Setup;
use crate::process::output;

/// The runtime bundle that the image was unpacked to.
struct Bundle {
    root: PathBuf,
    /// The program, its arguments, and the environment.
    process: Value,
}

impl Bundle {
    /// The one that the environment names, with what the DaemonSet mounts.
    fn new(configuration: &Path) -> Self {
        let bundle = std::env::var("KUBE_PROXIER_IMAGE");
        let bundle = bundle.unwrap_or_else(|_| panic!("KUBE_PROXIER_IMAGE does not name a bundle"));
        let config = fs::read(Path::new(&bundle).join("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&config).unwrap();
        let root = Path::new(&bundle).join("rootfs");
        let shown = root.display();
        cmd(&format!("mount --bind {shown} {shown}"));
        for (options, folder) in [
            ("-t proc proc", "proc"),
            ("-t sysfs sys", "sys"),
            ("-t tmpfs run", "run"),
            ("--bind /lib/modules", "lib/modules"),
        ] {
            cmd(&format!(
                "mkdir -p {shown}/{folder} && mount {options} {shown}/{folder}"
            ));
        }
        let from = configuration.display();
        cmd(&format!(
            "mkdir -p {shown}{from} && mount --bind {from} {shown}{from}"
        ));
        let process = config["process"].take();
        Self { root, process }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let words = |field: &str| {
            let words = self.process[field].as_array().unwrap().iter();
            words.map(|word| word.as_str().unwrap().to_owned())
        };
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(&self.root).args(words("args")).args(arguments);
        command.env_clear();
        command.envs(words("env").filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        }));
        command
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = try_cmd(&format!("umount --recursive {}", self.root.display()));
    }
}

/// It finds its tools in the image, proxies, is killed and started again, and cleans up.
pub(crate) fn of_debian() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let bundle = Bundle::new(setup.folder());
    let mut daemon = setup.started_by(bundle.command(&[&setup.config_flag()]));
    println!("{}", setup.log());
    let destination = |address: &str| format!("-a -t {STEADY}:80 -r {address}:8080 ");
    let servers = cmd("ipvsadm -Sn");
    assert!(servers.contains(&destination("10.244.1.5")), "{servers}");
    // Debian's, which the kernel of the guest is too: nft.
    let rules = cmd("iptables-nft-save -t nat");
    assert!(
        rules.contains(
            "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES"
        ),
        "{rules}"
    );
    assert!(cmd("ipset save").contains(&format!("add KUBE-CLUSTER-IP {STEADY},tcp:80")));

    daemon.kill();
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    daemon = setup.started_by(bundle.command(&[&setup.config_flag()]));
    let servers = cmd("ipvsadm -Sn");
    assert!(servers.contains(&destination("10.244.1.6")), "{servers}");
    daemon.kill();

    let (status, said) = output(bundle.command(&["--cleanup"]));
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(cmd("ipvsadm -Sn"), "");
    assert_eq!(cmd("ipset save"), "");
    assert!(!cmd("iptables-nft-save").contains("KUBE"));
}
