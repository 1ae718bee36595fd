//! The files named on the command line.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use proxier_manifest::{Manifests, printable};

/// How large a file may be.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A file of objects: the cluster at one moment.
#[derive(Debug)]
pub struct Step {
    /// The file's name, as it is shown.
    pub name: String,
    /// What is in it.
    pub manifests: Manifests,
}

/// The name of this machine.
#[must_use]
pub fn host_name() -> Box<str> {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_lowercase()
        .into()
}

/// A cluster to show where no file is named.
#[must_use]
pub fn built_in() -> Step {
    let name = "built-in cluster".to_owned();
    let manifests =
        proxier_manifest::read_cluster(&name, include_bytes!("../../data/cluster.yaml"));
    Step { name, manifests }
}

/// Reads files of objects. What is wrong within one is told by its step.
///
/// # Errors
/// A file cannot be read, or is too large.
pub fn read_steps(paths: &[PathBuf]) -> Result<Vec<Step>, String> {
    let steps = paths.iter().map(|path| {
        let name = shown(path);
        let manifests = proxier_manifest::read_cluster(&name, &read(path)?);
        Ok(Step { name, manifests })
    });
    steps.collect()
}

/// Reads a whole file.
///
/// # Errors
/// It cannot be read, or is larger than 1 GiB; with its name.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES + 1;
    fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("{}: {error}", shown(path)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length < limit) {
        Ok(bytes)
    } else {
        Err(format!("{}: is larger than 1 GiB", shown(path)))
    }
}

/// A path as it is shown.
#[must_use]
pub fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}
