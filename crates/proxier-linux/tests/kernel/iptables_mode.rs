//! Iptables mode through `LinuxKernel`: which line belongs to whom, and how often tools are run.

use std::fs;

use kernel_test::{cmd, iptables_flavour, script};
use proxier::cluster::{Change, Cluster, Host};
use proxier::kernel::{Applied, FailureReason};
use proxier::{Config, Engine, Kernel, KernelErrorKind, Layout, Operation, Plan};
use proxier_linux::LinuxKernel;

use crate::{PATIENCE, scenario};
use scenarios::clusters::with_node_ports as cluster;
use scenarios::tools;

struct Kept {
    engine: Engine,
    kernel: LinuxKernel,
}

impl Kept {
    fn new(cluster: &Cluster) -> Self {
        tools::make_links(&scenario("iptables/lb-cluster", Layout::Iptables));
        let mut kernel = LinuxKernel::open_for(Layout::Iptables)
            .unwrap()
            .with_patience(PATIENCE);
        let host: Host = kernel.host("node-a").unwrap();
        let engine = Engine::new(host, Config::with_layout(Layout::Iptables));
        let mut kept = Self { engine, kernel };
        kept.change(cluster);
        let plan = kept.engine.audit(&kept.kernel.observe().unwrap());
        assert!(kept.apply(&plan).is_ok());
        kept
    }

    fn change(&mut self, cluster: &Cluster) {
        let services = cluster.services.values().cloned().collect();
        self.engine.change(Change::Services(services));
        let slices = cluster.slices.values().cloned().collect();
        self.engine.change(Change::Slices(slices));
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        let applied = self.kernel.apply(plan);
        self.engine.applied(plan, &applied);
        applied
    }
}

fn nat() -> String {
    cmd(&format!("iptables-{}-save -t nat", iptables_flavour()))
}

/// Somebody jumps to a chain of `b` after the rules were read, so that the chain cannot be deleted: the line that says so
/// is refused, and leads back to `b`.
pub(crate) fn a_refused_line_keeps_its_service_waiting_and_no_other() {
    let mut kept = Kept::new(&cluster([&[1], &[2], &[3]]));
    let chain = nat()
        .lines()
        .find_map(|line| {
            let rule = line.strip_prefix("-A KUBE-SERVICES -d 10.0.0.1/32 ")?;
            Some(rule.rsplit_once(" -j ")?.1.to_owned())
        })
        .unwrap();
    cmd(&format!(
        "iptables-{} -t nat -A OUTPUT -s 10.99.0.1 -j {chain}",
        iptables_flavour()
    ));
    kept.change(&cluster([&[1, 11], &[], &[3, 13]]));
    let plan = kept.engine.plan();
    let applied = kept.apply(&plan);
    let refused: Vec<_> = applied
        .failures
        .iter()
        .filter(|failure| matches!(&failure.reason, FailureReason::Refused(error) if error.kind != KernelErrorKind::Unattempted))
        .collect();
    let [failure] = refused.as_slice() else {
        panic!("{:#?}", applied.failures);
    };
    let Operation::RestoreRules(change) = &failure.operation else {
        panic!("{failure}");
    };
    assert_eq!(
        change
            .services
            .iter()
            .map(proxier::cluster::ObjectName::name)
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert!(failure.to_string().contains(&chain), "{failure}");
    let now = nat();
    assert!(
        now.contains("10.244.1.11:8080") && now.contains("10.244.1.13:8080"),
        "{now}"
    );
    assert!(now.contains("10.244.1.2:8080"), "b is served as before");
    assert!(kept.engine.needs_audit());

    // Once it is seen, the chain is emptied and stays.
    let plan = kept.engine.audit(&kept.kernel.observe().unwrap());
    assert!(kept.apply(&plan).is_ok());
    let now = nat();
    assert!(
        !now.contains("10.244.1.2:8080") && now.contains(&format!(":{chain} -")),
        "{now}"
    );
    assert!(
        kept.engine
            .audit(&kept.kernel.observe().unwrap())
            .is_empty()
    );
}

/// Rules that come and rules that go, in both tables: the tool is run once.
pub(crate) fn a_sync_is_one_run_of_the_tool() {
    let folder = std::env::temp_dir().join(format!("counted-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let log = folder.join("runs");
    let flavour = iptables_flavour();
    // Those called just `iptables` come first where they are of the flavour in use.
    let stems = ["iptables".to_owned(), format!("iptables-{flavour}")];
    let tools = stems
        .iter()
        .flat_map(|stem| ["", "-save", "-restore"].map(|what| format!("{stem}{what}")));
    for tool in tools {
        let of = cmd(&format!("command -v {tool}")).trim().to_owned();
        let path = folder.join(&tool);
        let text = format!(
            "echo {tool} \"$@\" >> {}\nexec {of} \"$@\"\n",
            log.display()
        );
        script(&path, &text);
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    // SAFETY: a test is a process of its own, and has one thread so far.
    #[allow(unsafe_code, reason = "the tools are found by PATH")]
    unsafe {
        std::env::set_var("PATH", path);
    }
    let mut kept = Kept::new(&cluster([&[1], &[], &[3]]));
    fs::write(&log, "").unwrap();
    // `a` loses its endpoints, `b` gets one: a rule that refuses comes and one goes.
    kept.change(&cluster([&[], &[2], &[3]]));
    let plan = kept.engine.plan();
    assert!(plan.len() >= 4, "{plan}");
    assert!(kept.apply(&plan).is_ok());
    let runs = fs::read_to_string(&log).unwrap();
    assert_eq!(runs.lines().count(), 1, "{runs}");
    assert!(runs.contains("-restore --noflush"), "{runs}");
    let observed = kept.kernel.observe().unwrap();
    assert!(kept.engine.audit(&observed).is_empty());
}
