//! kube-proxier, running as it does on a node.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use proxier::Layout;
use tempfile::TempDir;

use crate::api_server::ApiServer;
use crate::common::{Scenario, read};

/// A kube-proxier that ends with the value.
pub(crate) struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    /// Starts one with the scenario's configuration and an API server, as `kube-proxier --config=FILE`.
    pub(crate) fn start(scenario: &Scenario, layout: Layout, server: &ApiServer) -> Self {
        let folder = TempDir::new().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, server.kubeconfig()).unwrap();
        let config = folder.path().join("config.yaml");
        let text = String::from_utf8(read(&scenario.folder.join("proxy-config.yaml"))).unwrap();
        assert!(text.contains("hostnameOverride: ") && !text.contains("clientConnection"));
        let text = format!(
            "{text}\nclientConnection:\n  kubeconfig: {}\n",
            kubeconfig.display()
        );
        fs::write(&config, text).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-proxier"));
        command.arg(format!("--config={}", config.display()));
        // The layout of today needs no flag.
        if layout == Layout::Classic {
            command.arg(format!("--layout={}", layout.as_str()));
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
