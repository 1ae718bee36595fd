//! Reading files that may not be there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

/// The file's text; `None` if there is no such file. Bytes that are no UTF-8 are replaced.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_absence(error.kind()) => Ok(None),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// Whether there is such a file or folder.
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(error.kind()) => Ok(false),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// Only these say that a file is not there; every other error says nothing about it.
fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}
