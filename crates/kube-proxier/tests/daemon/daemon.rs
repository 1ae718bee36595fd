//! The daemon as a process.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::api_server::ApiServer;

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The same where this test runs: an emulated machine is several times slower.
fn patience() -> Duration {
    match kernel_test::iptables_flavour() {
        "nft" => PATIENCE * 4,
        _ => PATIENCE,
    }
}

const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
hostnameOverride: node-a
";

/// PATH with a folder before all others.
pub(crate) fn path_with(folder: &Path) -> String {
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", folder.display())
}

/// Fields with those that every configuration has; they may name another mode.
fn headed(fields: &str) -> String {
    match fields.contains("mode: iptables\n") {
        true => HEAD.replace("mode: ipvs\n", "") + fields,
        false => HEAD.to_owned() + fields,
    }
}

/// The daemon: as it was built with the tests, or another build, such as one for release, that the environment named then.
pub(crate) const BINARY: &str = match option_env!("KUBE_PROXIER_UNDER_TEST") {
    Some(path) => path,
    None => env!("CARGO_BIN_EXE_kube-proxier"),
};

pub(crate) const METRICS: &str = "127.0.0.1:10249";
pub(crate) const HEALTH: &str = "127.0.0.1:10256";

/// Where the daemon's files are, and how it is started.
pub(crate) struct Setup {
    folder: TempDir,
    flags: Vec<String>,
    /// Variables of the environment.
    variables: Vec<(&'static str, String)>,
}

impl Setup {
    /// For a server, with further fields of a `KubeProxyConfiguration`.
    pub(crate) fn new(server: &ApiServer, fields: &str) -> Self {
        Self::of(server, &headed(fields))
    }

    /// For a server, with a configuration that does not say where that is.
    pub(crate) fn of(server: &ApiServer, config: &str) -> Self {
        Self::by(&server.kubeconfig(), config)
    }

    /// With a kubeconfig, and further fields.
    pub(crate) fn with_kubeconfig(kubeconfig: &str, fields: &str) -> Self {
        Self::by(kubeconfig, &headed(fields))
    }

    fn by(kubeconfig: &str, config: &str) -> Self {
        let setup = Self::empty();
        fs::write(setup.path("kubeconfig"), kubeconfig).unwrap();
        setup.configure(config);
        setup
    }

    /// With no word of where the server is, but for what a pod's environment says.
    pub(crate) fn in_cluster(server: &ApiServer, fields: &str) -> Self {
        let mut setup = Self::empty();
        let address = server.address();
        setup.variables = vec![
            ("KUBERNETES_SERVICE_HOST", address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", address.port().to_string()),
        ];
        setup.write(&(HEAD.to_owned() + fields));
        setup
    }

    fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            flags: Vec::new(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// With a variable of the environment.
    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Finds tools in this folder first.
    pub(crate) fn tools_in(mut self, folder: &Path) -> Self {
        self.variables.push(("PATH", path_with(folder)));
        self
    }

    /// Writes the configuration, with where the server is.
    fn configure(&self, config: &str) {
        assert!(config.contains("hostnameOverride: ") && !config.contains("clientConnection"));
        let kubeconfig = self.path("kubeconfig");
        self.write(&format!(
            "{config}\nclientConnection: {{kubeconfig: {}}}\n",
            kubeconfig.display()
        ));
    }

    /// All at once, as a ConfigMap does.
    fn write(&self, config: &str) {
        fs::write(self.path("new.yaml"), config).unwrap();
        fs::rename(self.path("new.yaml"), self.path("config.yaml")).unwrap();
    }

    /// Has further fields from now on.
    pub(crate) fn reconfigure(&self, fields: &str) {
        self.configure(&headed(fields));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.arg(self.config_flag()).args(&self.flags);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The flag that names the configuration.
    pub(crate) fn config_flag(&self) -> String {
        format!("--config={}", self.path("config.yaml").display())
    }

    /// Starts it; what it logs is added to the log.
    pub(crate) fn start(&self) -> Daemon {
        self.spawn(self.command())
    }

    /// The same in the network namespace that the machine began with.
    pub(crate) fn start_in_first_namespace(&self) -> Daemon {
        self.start_by("nsenter", &["--net=/proc/1/ns/net", "--"])
    }

    /// Starts it by a program that is given these arguments, and then its command.
    pub(crate) fn start_by(&self, program: &str, arguments: &[&str]) -> Daemon {
        let inner = self.command();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg(inner.get_program())
            .args(inner.get_args())
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        self.spawn(command)
    }

    /// Starts it with a stderr that is a pipe without a reader.
    pub(crate) fn start_with_broken_stderr(&self) -> Daemon {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        Daemon { child }
    }

    fn spawn(&self, mut command: Command) -> Daemon {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child }
    }

    /// Starts it, and waits for its first sync.
    #[track_caller]
    pub(crate) fn started(&self) -> Daemon {
        self.started_by(self.command())
    }

    /// The same by another command.
    #[track_caller]
    pub(crate) fn started_by(&self, command: Command) -> Daemon {
        let mut daemon = self.spawn(command);
        daemon.wait_until("its first sync", || {
            (syncs() >= 1.0).then_some(()).ok_or_else(|| self.log())
        });
        daemon
    }
}

/// A running one, killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// That was started.
    pub(crate) const fn of(child: Child) -> Self {
        Self { child }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal and waits for the end: how it ended, and how long that took.
    pub(crate) fn stop(mut self, signal: Signal) -> (ExitStatus, Duration) {
        let sent = Instant::now();
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
        (self.ended(), sent.elapsed())
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a condition holds; where it never does, what it last said is shown.
    #[track_caller]
    pub(crate) fn wait_until<T>(
        &mut self,
        what: &str,
        mut condition: impl FnMut() -> Result<T, String>,
    ) -> T {
        let deadline = Instant::now() + patience();
        loop {
            let said = match condition() {
                Ok(value) => return value,
                Err(said) => said,
            };
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended ({status}) before {what}: {said}");
            }
            assert!(Instant::now() < deadline, "no {what}: {said}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time it has used (proc_pid_stat(5): hundredths of a second).
    pub(crate) fn processor_time(&self) -> Duration {
        self.ticks(11)
    }

    /// The same of the programs that it has run and that have ended.
    pub(crate) fn processor_time_of_programs(&self) -> Duration {
        self.ticks(13)
    }

    /// Two fields of its `stat`, user and system, from this one after its name on.
    fn ticks(&self, first: usize) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 = fields
            .split(' ')
            .skip(first)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory and its peak, KiB.
    pub(crate) fn memory(&self) -> [u64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        ["VmRSS:", "VmHWM:"].map(|field| {
            let line = status.lines().find(|line| line.starts_with(field)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many syncs it has made.
pub(crate) fn syncs() -> f64 {
    sync_metric("count").unwrap_or(0.0)
}

/// The number (`count`) of all syncs, or how long they took (`sum`, seconds).
pub(crate) fn sync_metric(what: &str) -> Option<f64> {
    let name = format!("kubeproxy_sync_proxy_rules_duration_seconds_{what}");
    metric(&(name + "{ip_family=\"IPv4\"}"))
}

/// The value of a metric, its labels part of the name, if it is served.
pub(crate) fn metric(name: &str) -> Option<f64> {
    let (_, body) = get(METRICS, "/metrics")?;
    let mut lines = body.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Status and body of what a server answers, if it does.
pub(crate) fn get(server: &str, path: &str) -> Option<(u16, String)> {
    let (head, body) = request(server, path)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body))
}

/// Head and body of what a server answers, if it does.
pub(crate) fn request(server: &str, path: &str) -> Option<(String, String)> {
    let server: SocketAddr = server.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    // Each header ends with its line.
    Some((format!("{head}\r\n"), body.to_owned()))
}
