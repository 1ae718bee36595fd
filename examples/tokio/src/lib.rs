//! What the examples on tokio share.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The `main` of an example: runs `body` on a runtime of one thread. The exit status is 0, or 2 with the
/// error on stderr. Output that is cut off, as by `head`, is not a failure.
pub fn run(
    name: &str,
    body: impl AsyncFnOnce(&mut dyn Write) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let mut out = io::stdout();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(body(&mut out)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_cut_off(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done if that fails too.
            let _ = writeln!(io::stderr(), "{name}: {error}");
            ExitCode::from(2)
        }
    }
}

fn is_cut_off(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
