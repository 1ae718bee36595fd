//! What the examples on tokio share.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use tokio::runtime::Builder;

/// The `main` of an example, as [`examples::run`]: runs `body` on a runtime of one thread.
pub fn run(
    name: &str,
    body: impl AsyncFnOnce(&mut dyn Write) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    examples::run(name, |out| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(body(out))?;
        Ok(ExitCode::SUCCESS)
    })
}
