//! `--explain`: why something is served at the end, or not.

use std::io::{self, Write};

use proxier::explain::{Evidence, Question, explain};
use proxier::{Config, Kernel, MemoryKernel, Observed, translate};
use proxier_manifest::{explanation_json, printable};

use examples::reconcile::{
    Outcome, Output, Result, Step, check_node, complain, diagnose, make, shows_cluster,
};

use crate::memory::HostInput;

/// Answers a question about the last file's cluster: on the kernel that was found, or on one in memory that all the files
/// lead through.
pub(crate) fn answer(
    question: &Question,
    steps: &[Step],
    config: &Config,
    (found, host): (Option<Observed>, &HostInput),
    output: Output,
) -> Result<Outcome> {
    let mut kernel = MemoryKernel::new();
    let mut last = None;
    for Step { name, manifests } in steps {
        let cluster = &manifests.cluster;
        let mut complaints = Vec::new();
        diagnose(manifests, &mut complaints);
        complaints.iter().for_each(|complaint| complain(complaint));
        if let Err(reason) = shows_cluster(manifests, false) {
            complain(&format!("{name}: {reason}"));
            continue;
        }
        check_node(name, cluster, &HostInput::name_of(cluster, config))?;
        let host = host.of(cluster, config);
        let (_, failures) = make(&mut kernel, name, &translate(cluster, &host, config))?;
        failures.iter().for_each(|failure| complain(failure));
        last = Some((cluster, host));
    }
    let Some((cluster, host)) = last else {
        return Ok(Outcome::default());
    };
    let observed = match found {
        Some(found) => found,
        None => kernel.observe()?,
    };
    let explanation = explain(&Evidence::new(cluster, &host, config, &observed), question);
    let mut out = anstream::stdout().lock();
    match output {
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &explanation_json(&explanation))
                .map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Output::Text | Output::Plan | Output::Summary => {
            for line in explanation.to_string().lines() {
                writeln!(out, "{}", printable(line))?;
            }
        }
    }
    out.flush()?;
    Ok(Outcome {
        used: true,
        refused: !explanation.is_served(),
    })
}
