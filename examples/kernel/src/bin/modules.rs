//! Says of each kernel module that IPVS needs where it is, or why it is not there; and loads it if asked.
//!
//! Looking needs nothing; loading needs root.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kmod_probe::{Modules, required_modules};

/// Check the kernel modules that IPVS needs.
///
/// Exit status: 0, the kernel has them all or can get them; 1, one is missing; 2, nothing could be found out,
/// or the command line is wrong.
#[derive(Parser)]
#[command(name = "modules", version, max_term_width = 100)]
struct Args {
    /// The scheduler of the virtual servers, as `ipvsadm -s` names it.
    #[arg(long, default_value = "rr")]
    scheduler: String,

    /// Load those that the kernel does not have yet.
    #[arg(long, conflicts_with = "root")]
    load: bool,

    /// Look at another file tree, such as a host's mounted in a container.
    #[arg(long, requires = "release")]
    root: Option<PathBuf>,

    /// The release of the kernel to look for there, as `uname -r` prints it.
    #[arg(long, requires = "root")]
    release: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run("modules", |out| {
        let modules = match (args.root, args.release) {
            (Some(root), Some(release)) => Modules::at(root, release),
            _ => Modules::of_running_kernel()?,
        };
        writeln!(out, "Linux {}", modules.release())?;
        let mut missing = false;
        for name in required_modules(modules.version()?, &args.scheduler)? {
            let presence = modules.presence(&name)?;
            missing |= !presence.is_available();
            writeln!(out, "{name}: {presence}")?;
            if args.load && !presence.is_ready() {
                match modules.load(&name) {
                    Ok(_) => writeln!(out, "{name}: {}", modules.presence(&name)?)?,
                    Err(error) => {
                        missing = true;
                        writeln!(out, "{error}")?;
                    }
                }
            }
        }
        Ok(if missing {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    })
}
