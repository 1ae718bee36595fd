#![doc = include_str!("../../README.md")]

pub mod reconcile;

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// The `main` of an example: 0 or what `body` gives; 2, with the error on stderr, where it fails. Having
/// our output cut off, as by `head`, is not a failure.
pub fn run(
    name: &str,
    body: impl FnOnce(&mut dyn Write) -> Result<ExitCode, Box<dyn Error>>,
) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = body(&mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    done.unwrap_or_else(|error| {
        if is_cut_off(&*error) {
            return ExitCode::SUCCESS;
        }
        // Nothing can be done if that fails too.
        let _ = writeln!(io::stderr(), "{name}: {error}");
        ExitCode::from(2)
    })
}

/// Whether the reader of our output has closed it.
fn is_cut_off(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
