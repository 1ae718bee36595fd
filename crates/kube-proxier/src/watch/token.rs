//! A bearer token in a file, which others renew.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use axum::http::HeaderValue;

/// A token as its file has it now. It is read for each request, of which there are few.
///
/// kube would do so itself, but takes the end of a line in the file for a part of the token.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    last: Mutex<HeaderValue>,
}

impl TokenFile {
    /// Reads the file for the first time. While it cannot be read, `inline` is used, if there is one.
    pub(super) fn open(path: PathBuf, inline: Option<&str>) -> io::Result<Self> {
        let last = match (read(&path), inline) {
            (Err(_), Some(token)) => header(token)?,
            (read, _) => read?,
        };
        let last = Mutex::new(last);
        Ok(Self { path, last })
    }

    /// The value of the header `authorization`. While the file cannot be read, the last token is used: it may still be
    /// good.
    pub(super) fn authorization(&self) -> HeaderValue {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.path) {
            Ok(header) => last.clone_from(&header),
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%error, "the token cannot be read, the one before is used: {path}");
            }
        }
        last.clone()
    }
}

fn read(path: &PathBuf) -> io::Result<HeaderValue> {
    header(&fs::read_to_string(path)?)
}

fn header(text: &str) -> io::Result<HeaderValue> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let token = text.trim();
    if token.is_empty() {
        return Err(wrong("it is empty"));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| wrong("it is more than a token"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_files_or_the_last_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let open = || TokenFile::open(path.clone(), None);
        assert_eq!(open().unwrap_err().kind(), io::ErrorKind::NotFound);
        for text in ["", "\n", "two\nlines"] {
            fs::write(&path, text).unwrap();
            assert!(open().is_err(), "{text:?}");
        }
        fs::write(&path, "first\n").unwrap();
        let token = open().unwrap();
        assert_eq!(token.authorization(), "Bearer first");
        assert!(token.authorization().is_sensitive());
        fs::write(&path, "second").unwrap();
        assert_eq!(token.authorization(), "Bearer second");
        fs::write(&path, "").unwrap();
        assert_eq!(token.authorization(), "Bearer second");
        fs::remove_file(&path).unwrap();
        assert_eq!(token.authorization(), "Bearer second");
    }

    #[test]
    fn an_inline_token_is_for_the_time_until_the_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let open = |inline| TokenFile::open(path.clone(), Some(inline));
        assert!(open("two\nlines").is_err());
        let token = open("inline").unwrap();
        assert_eq!(token.authorization(), "Bearer inline");
        fs::write(&path, "file\n").unwrap();
        assert_eq!(token.authorization(), "Bearer file");
        fs::remove_file(&path).unwrap();
        assert_eq!(token.authorization(), "Bearer file");
        fs::write(&path, "new").unwrap();
        assert_eq!(open("inline").unwrap().authorization(), "Bearer new");
    }
}
