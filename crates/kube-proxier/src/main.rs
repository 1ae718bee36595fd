//! The node daemon that takes kube-proxy's place in ipvs mode. See `kube-proxier --help`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use kube_proxier::options::{Action, DoctorOutput, Flags, Options, ThisProcess, write_file};
use kube_proxier::top::{self, TopError};
use kube_proxier::{daemon, doctor, explain, heap, logging};

fn main() -> ExitCode {
    heap::share();
    let flags = match Flags::read(std::env::args_os()) {
        Ok(flags) => flags,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nothing can be done if that fails.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // Status 2 means that the program was called wrongly; what fails later ends with 1.
    let options = match Options::read(flags.clone(), &ThisProcess) {
        Ok(options) => options,
        Err(error) => return usage_error(&error),
    };
    if let Err(error) = logging::start(options.process.logging) {
        return usage_error(&*error);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let done = act(flags, options, &mut out).and_then(|ok| {
        out.flush()?;
        Ok(ok)
    });
    match done {
        Ok(ok) => ExitCode::from(u8::from(!ok)),
        // The reader closed its end of the pipe, as `head` does.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(1)
        }
    }
}

/// Prints an error and returns the status for a wrong call.
fn usage_error(error: &dyn Display) -> ExitCode {
    // Nothing can be done if stderr is closed.
    let _ = writeln!(io::stderr(), "kube-proxier: {error}");
    ExitCode::from(2)
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Does what the options ask for. Returns whether all went well.
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
        Action::WriteConfig(path) => options
            .effective_yaml()
            .and_then(|text| write_file(path, &text))
            .map_err(|error| format!("--write-config-to: {}: {error}", path.display()))?,
        Action::Doctor(output) => {
            let checks = daemon::examine(&options);
            match output {
                DoctorOutput::Text => doctor::write_text(&checks, &mut anstream::stdout().lock())?,
                DoctorOutput::Json => {
                    serde_json::to_writer_pretty(&mut *out, &checks)?;
                    writeln!(out)?;
                }
            }
            return Ok(doctor::can_run(&checks));
        }
        Action::Explain(args) => {
            let explanation = explain::explain(&options, args)?;
            match args.output {
                DoctorOutput::Text => {
                    explain::write_text(&explanation, &mut anstream::stdout().lock())?;
                }
                DoctorOutput::Json => {
                    let json = proxier_manifest::explanation_json(&explanation);
                    serde_json::to_writer_pretty(&mut *out, &json)?;
                    writeln!(out)?;
                }
            }
            return Ok(explanation.is_served());
        }
        Action::Top(args) => top::top(&options, args, out).map_err(|error| match error {
            // So that it is known for what it is.
            TopError::Io(error) => error.into(),
            error => Box::<dyn Error>::from(error),
        })?,
    }
    Ok(true)
}
