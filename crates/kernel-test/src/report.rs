//! The file in which the process that runs a test reports the result to the process that started it. It
//! is empty until there is a result, so neither an early `exit(0)` nor a crash counts as success.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The result of a test: `Err` holds the failure's text.
pub(crate) type Outcome = Result<(), String>;

const PASSED: u8 = b'P';
const FAILED: u8 = b'F';

/// The open file, opened before the test changes its view of the file system.
#[derive(Debug)]
pub(crate) struct Report(File);

impl Report {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(Self)
    }

    pub(crate) fn write(mut self, outcome: &Outcome) -> io::Result<()> {
        self.0.write_all(&encode(outcome))
    }
}

/// Reads a report; `None` where none was written.
pub(crate) fn read(path: &Path) -> Option<Outcome> {
    decode(&std::fs::read(path).ok()?)
}

pub(crate) fn encode(outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Ok(()) => vec![PASSED],
        Err(text) => [&[FAILED], text.as_bytes()].concat(),
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Option<Outcome> {
    match bytes.split_first()? {
        (&PASSED, _) => Some(Ok(())),
        (&FAILED, text) => Some(Err(String::from_utf8_lossy(text).into_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_written_result_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        assert_eq!(read(&path), None);
        let report = Report::create(&path).unwrap();
        assert_eq!(read(&path), None);
        report.write(&Err("five\nlines".to_owned())).unwrap();
        assert_eq!(read(&path), Some(Err("five\nlines".to_owned())));
        Report::create(&path).unwrap().write(&Ok(())).unwrap();
        assert_eq!(read(&path), Some(Ok(())));
    }
}
