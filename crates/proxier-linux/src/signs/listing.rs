//! `/proc/net/ip_vs`, read a piece at a time.
//!
//! The file has all virtual servers and destinations with their settings, weights too, and costs what it has lines. So no more
//! than some kilobytes of it are read at a time: a short one as a whole each time, a long one in the course of several.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek};
use std::path::Path;

/// How much is read at a time: some 250 lines. The kernel fills a page in each call.
const PIECE: usize = 16 << 10;
const PAGE: usize = 4096;
/// The length of a line at the most; the kernel's have half as much.
const LINE: usize = 256;

/// The file, and how far it has been read.
#[derive(Debug)]
pub(super) struct Listing<F> {
    file: F,
    /// The beginning of a line whose rest has not been read.
    rest: Vec<u8>,
    hasher: DefaultHasher,
    /// Of all lines, when they were last read to the end.
    whole: Option<u64>,
    /// Whether some of it has been read since the beginning.
    begun: bool,
    /// Whether the look that last read its beginning read all of it.
    short: bool,
}

impl Listing<File> {
    /// In the network namespace of the calling thread.
    pub(super) fn open() -> Option<Self> {
        let path = Path::new("/proc/thread-self/net/ip_vs");
        File::open(path).ok().map(Self::of)
    }
}

impl<F: Read + Seek> Listing<F> {
    fn of(file: F) -> Self {
        Self {
            file,
            rest: Vec::new(),
            hasher: DefaultHasher::new(),
            whole: None,
            begun: false,
            short: false,
        }
    }

    /// Begins anew: what was read has been changed by us.
    pub(super) fn anew(mut self) -> Option<Self> {
        self.whole = None;
        self.rewind().ok()?;
        Some(self)
    }

    /// Whether one look sees all of the file, as far as is known.
    pub(super) const fn is_short(&self) -> bool {
        self.short
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.rest.clear();
        self.begun = false;
        self.hasher = DefaultHasher::new();
        self.file.rewind()
    }

    /// A sign of all that is in the file, as it was last read to the end; it is read on until then. `None` before the first
    /// time, and if it cannot be read.
    pub(super) fn sign(&mut self) -> Option<u64> {
        let mut page = [0; PAGE];
        let mut read = 0;
        let from_beginning = !std::mem::replace(&mut self.begun, true);
        if from_beginning {
            self.short = false;
        }
        while read < PIECE {
            let count = match self.file.read(&mut page) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.ok()?,
            };
            if count == 0 {
                self.whole = Some(self.hasher.finish());
                self.short = from_beginning;
                self.rewind().ok()?;
                break;
            }
            read += count;
            self.take(page.get(..count)?)?;
        }
        self.whole
    }

    /// Takes in a piece of the text; an unending line is not of this file.
    fn take(&mut self, piece: &[u8]) -> Option<()> {
        let mut lines = piece.split_inclusive(|byte| *byte == b'\n');
        for line in &mut lines {
            if line.ends_with(b"\n") && self.rest.is_empty() {
                stable(line).hash(&mut self.hasher);
                continue;
            }
            self.rest.extend_from_slice(line);
            if self.rest.len() > LINE {
                return None;
            }
            if self.rest.ends_with(b"\n") {
                stable(&self.rest).hash(&mut self.hasher);
                self.rest.clear();
            }
        }
        Some(())
    }
}

/// What of a line is settings: of a destination address, way and weight, but not its connections.
fn stable(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    if !line.starts_with(b"->") {
        return line;
    }
    let without_last = |line: &[u8]| -> usize {
        let kept = line.iter().rposition(|byte| *byte == b' ');
        kept.unwrap_or_default()
    };
    let mut kept = line;
    for _ in 0..2 {
        kept = kept
            .get(..without_last(kept))
            .unwrap_or_default()
            .trim_ascii_end();
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Linux 6.1.176.
    const TEXT: &str = "IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A60000A:0050 rr  
  -> 0AF40106:1F90      Masq    1      0          0         
TCP  [fd00:0010:0096:0000:0000:0000:0000:0010]:0050 rr  persistent 10800 FFFFFFFF
  -> [fd00:0010:0244:0000:0000:0000:0000:0005]:1F90      Masq    1      7          12345678  
";

    fn sign(text: &str) -> Option<u64> {
        let mut listing = Listing::of(Cursor::new(text.as_bytes().to_vec()));
        assert!(!listing.is_short());
        let first = listing.sign();
        assert_eq!(listing.sign(), first);
        assert!(listing.is_short());
        first
    }

    #[test]
    fn settings_and_weights_count_and_connections_do_not() {
        let before = sign(TEXT);
        assert!(before.is_some());
        for (what, other) in [
            ("Masq    1      0  ", "Masq    0      0  "),
            ("Masq    1      7  ", "Masq    2      7  "),
            ("0AF40106", "0AF40107"),
            ("0050 rr  \n", "0050 wrr  \n"),
            ("persistent 10800", "persistent 10801"),
        ] {
            let changed = TEXT.replacen(what, other, 1);
            assert_ne!(changed, TEXT, "{what}");
            assert_ne!(sign(&changed), before, "{what}");
        }
        for (what, other) in [
            (
                "1      7          12345678  ",
                "1      8          1         ",
            ),
            (
                "1      0          0         ",
                "1      123456789  12345678901",
            ),
        ] {
            let changed = TEXT.replacen(what, other, 1);
            assert_ne!(changed, TEXT, "{what}");
            assert_eq!(sign(&changed), before, "{what}");
        }
    }

    #[test]
    fn a_long_file_is_read_in_pieces_and_counts_once_it_is_read() {
        let line = "  -> 0AF40106:1F90      Masq    1      0          0         \n";
        let count = 3 * PIECE / line.len();
        let long = line.repeat(count);
        let mut listing = Listing::of(Cursor::new(long.clone().into_bytes()));
        for _ in 0..2 {
            assert_eq!(listing.sign(), None);
        }
        let whole = (0..2).find_map(|_| listing.sign());
        assert!(whole.is_some());
        assert!(!listing.is_short());
        // Another weight at the end: it is seen when it is read.
        let at = long.len() - line.len() + line.find(" 1 ").unwrap() + 1;
        *listing.file.get_mut().get_mut(at).unwrap() = b'0';
        let seen: Vec<_> = (0..5).map(|_| listing.sign()).collect();
        assert_eq!(seen[0], whole);
        assert_ne!(seen[4], whole);
        // What we changed ourselves is not a sign.
        let mut listing = listing.anew().unwrap();
        assert_eq!(listing.sign(), None);
        let end = (0..5).find_map(|_| listing.sign());
        assert_eq!(end, seen[4]);
    }

    #[test]
    fn a_line_without_end_is_no_sign() {
        let mut listing = Listing::of(Cursor::new(vec![b'x'; PIECE]));
        assert_eq!(listing.sign(), None);
    }
}
