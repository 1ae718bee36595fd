//! The messages from the guest to the harness: a kind, a length, and that many bytes.

use std::io::{self, Read};

/// One message from the guest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The guest is ready and runs this kernel release.
    Ready(String),
    /// The test printed this on stdout.
    Stdout(Vec<u8>),
    /// The test printed this on stderr.
    Stderr(Vec<u8>),
    /// The test is over; its report, as in its file.
    Report(Vec<u8>),
    /// The test's process ended without a report, with this status.
    NoReport(String),
    /// The guest cannot go on.
    Fatal(String),
}

/// The longest payload, in bytes. The guest sends less at once.
const MAX: u32 = 1 << 20;

impl Frame {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Ready(text) => (b'r', text.as_bytes()),
            Self::Stdout(bytes) => (b'o', bytes.as_slice()),
            Self::Stderr(bytes) => (b'e', bytes.as_slice()),
            Self::Report(bytes) => (b'd', bytes.as_slice()),
            Self::NoReport(text) => (b'n', text.as_bytes()),
            Self::Fatal(text) => (b'f', text.as_bytes()),
        };
        let payload = payload.get(..MAX as usize).unwrap_or(payload);
        // Cut to `MAX` above, which fits.
        let length = u32::try_from(payload.len()).unwrap_or(MAX);
        [&[kind], length.to_le_bytes().as_slice(), payload].concat()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// `UnexpectedEof` if the guest stopped; `InvalidData` if the bytes are not a frame.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut kind = [0];
        let mut length = [0; 4];
        from.read_exact(&mut kind)?;
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > MAX {
            return Err(invalid(&kind));
        }
        let mut payload = vec![0; length as usize];
        from.read_exact(&mut payload)?;
        let text = || String::from_utf8_lossy(&payload).into_owned();
        Ok(match &kind {
            b"r" => Self::Ready(text()),
            b"n" => Self::NoReport(text()),
            b"f" => Self::Fatal(text()),
            b"o" => Self::Stdout(payload),
            b"e" => Self::Stderr(payload),
            b"d" => Self::Report(payload),
            _ => return Err(invalid(&kind)),
        })
    }
}

fn invalid(kind: &[u8; 1]) -> io::Error {
    let what = format!(
        "not a frame: starts with {:?}",
        kind.escape_ascii().to_string()
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_way() {
        let frames = || {
            [
                Frame::Ready("6.1.176".to_owned()),
                Frame::Stdout(b"a\r\n\0\xff".to_vec()),
                Frame::Stderr(Vec::new()),
                Frame::Report(b"P".to_vec()),
                Frame::NoReport("signal: 9".to_owned()),
                Frame::Fatal("no /proc".to_owned()),
            ]
        };
        let bytes: Vec<u8> = frames().iter().flat_map(Frame::encode).collect();
        let mut reader = bytes.as_slice();
        for frame in frames() {
            assert_eq!(Frame::read(&mut reader).unwrap(), frame);
        }
        let end = Frame::read(&mut reader).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn other_bytes_are_not_a_frame() {
        for noise in [&b"Kernel panic"[..], b"o\xff\xff\xff\xff"] {
            let error = Frame::read(&mut &*noise).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_frame_is_never_longer_than_its_reader_takes() {
        let frame = Frame::Stdout(vec![b'x'; MAX as usize + 1]);
        let read = Frame::read(&mut frame.encode().as_slice()).unwrap();
        assert_eq!(read, Frame::Stdout(vec![b'x'; MAX as usize]));
    }
}
