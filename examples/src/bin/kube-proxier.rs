//! The node daemon that takes kube-proxy's place in ipvs mode. `kube-proxier --help` says how.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

use examples::kube_proxier::options::{Action, DoctorOutput, Flags, Options, ThisProcess};
use examples::kube_proxier::{daemon, doctor, logging};

fn main() -> ExitCode {
    let flags = match Flags::read(std::env::args_os()) {
        Ok(flags) => flags,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nothing can be done if that fails.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // Only what is wrong with how it was called gives 2.
    let options = match Options::read(flags.clone(), &ThisProcess) {
        Ok(options) => options,
        Err(error) => return examples::run("kube-proxier", |_| Err(error.into())),
    };
    if let Err(error) = logging::start(options.process.logging) {
        return examples::run("kube-proxier", |_| Err(error));
    }
    examples::run("kube-proxier", |out| {
        Ok(ExitCode::from(match act(flags, options, out) {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(error) => {
                tracing::error!("{error}");
                1
            }
        }))
    })
}

/// Whether all went well.
fn act(flags: Flags, options: Options, out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    for warning in &options.warnings {
        tracing::warn!("{warning}");
    }
    for note in &options.notes {
        tracing::info!("{note}");
    }
    match &options.action {
        Action::Run => daemon::run(flags, options)?,
        Action::Cleanup => return Ok(daemon::clean_up()?),
        Action::InitOnly => return Ok(daemon::initialize(&options)?),
        Action::WriteConfig(path) => fs::write(path, options.effective_yaml())
            .map_err(|error| format!("--write-config-to: {}: {error}", path.display()))?,
        Action::Doctor(output) => {
            let checks = doctor::run(&options);
            match output {
                DoctorOutput::Text => doctor::write_text(&checks, &mut anstream::stdout().lock())?,
                DoctorOutput::Json => {
                    serde_json::to_writer_pretty(&mut *out, &checks)?;
                    writeln!(out)?;
                }
            }
            return Ok(doctor::can_run(&checks));
        }
    }
    Ok(true)
}
