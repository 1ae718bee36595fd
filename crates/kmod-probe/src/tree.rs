//! Reading files that may be missing.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// Largest file that is read, in bytes; the largest list of a distribution has some two megabytes.
const LIMIT: u64 = 64 << 20;

/// The file's text; `None` if there is no such file. Bytes that are not UTF-8 are replaced. A pipe or
/// a device has no text, and is never waited for.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let error = |error| Error::read(path, error);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(missing) if is_absence(missing.kind()) => return Ok(None),
        Err(other) => return Err(error(other)),
    };
    let kind = metadata.file_type();
    if !(kind.is_file() || kind.is_dir()) {
        return Ok(Some(String::new()));
    }
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(missing) if is_absence(missing.kind()) => Ok(None),
        Err(other) => Err(error(other)),
    }
}

/// The files of a directory whose names end in `suffix`, without hidden ones and directories; none if
/// there is no such directory.
pub(crate) fn files(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(missing) if is_absence(missing.kind()) => return Ok(Vec::new()),
        Err(error) => return Err(Error::read(directory, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| Error::read(directory, error))?;
        let name = name.file_name();
        let path = directory.join(&name);
        let name = name.to_string_lossy();
        if !name.starts_with('.') && name.ends_with(suffix) && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Whether there is such a file or folder.
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(error.kind()) => Ok(false),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// These alone mean that there is no such file; after any other error it is unknown.
fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}
