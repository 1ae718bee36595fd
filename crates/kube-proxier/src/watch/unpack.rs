//! Answers in gzip (RFC 1952), unpacked while they arrive.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use flate2::write::MultiGzDecoder;
use futures_util::{AsyncBufRead, AsyncRead};
use thiserror::Error;

/// How many packed bytes are unpacked at a time. They become half a megabyte at the most, since gzip packs 1032 bytes into one
/// at its best.
const PIECE: usize = 512;

/// How many bytes more than unpacked an answer may have packed: its head, and what cannot be made shorter.
const OVERHEAD: usize = 64 << 10;

/// Why an answer cannot be unpacked: the source of an [`io::Error`].
#[derive(Debug, Error)]
pub(super) enum UnpackError {
    /// It is not gzip, or damaged.
    #[error("{0}")]
    Damaged(#[source] io::Error),
    /// It is not whole, or its checksum is of something else.
    #[error("it ends too early, or its checksum differs")]
    Incomplete,
    /// It has more bytes than are read, packed or unpacked.
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
}

impl From<UnpackError> for io::Error {
    fn from(error: UnpackError) -> Self {
        Self::other(error)
    }
}

/// A body that may be in gzip, as it is once unpacked.
///
/// No more than one piece of it is held unpacked.
pub(super) struct Unpacked<B> {
    body: B,
    gzip: Option<Gzip>,
}

struct Gzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// How much of the decoder's output was read.
    read: usize,
    ended: bool,
    /// How many bytes may be unpacked, how many are left of these, and of packed ones: blocks may be empty.
    limit: usize,
    unpacked_left: usize,
    packed_left: usize,
}

impl<B> Unpacked<B> {
    /// A body that is read as it is.
    pub(super) const fn plain(body: B) -> Self {
        Self { body, gzip: None }
    }

    /// A body in gzip, of which no more than `limit` bytes are unpacked.
    pub(super) fn gzip(body: B, limit: usize) -> Self {
        let gzip = Gzip {
            decoder: MultiGzDecoder::new(Vec::new()),
            read: 0,
            ended: false,
            limit,
            unpacked_left: limit,
            packed_left: limit.saturating_add(OVERHEAD),
        };
        Self {
            body,
            gzip: Some(gzip),
        }
    }
}

impl Gzip {
    fn rest(&self) -> &[u8] {
        self.decoder.get_ref().get(self.read..).unwrap_or_default()
    }

    /// Unpacks the first of these packed bytes, or the end where there are none. How many it took.
    fn unpack(&mut self, piece: &[u8]) -> Result<usize, UnpackError> {
        self.decoder.get_mut().clear();
        self.read = 0;
        let taken = if piece.is_empty() {
            self.ended = true;
            let whole = self.decoder.try_finish();
            whole.map_err(|_| UnpackError::Incomplete)?;
            0
        } else {
            let piece = piece.get(..PIECE).unwrap_or(piece);
            match self.decoder.write(piece).map_err(UnpackError::Damaged)? {
                0 => return Err(UnpackError::Damaged(io::ErrorKind::WriteZero.into())),
                taken => taken,
            }
        };
        let unpacked = self.decoder.get_ref().len();
        let left = self.unpacked_left.checked_sub(unpacked);
        let packed = self.packed_left.checked_sub(taken);
        match (left, packed) {
            (Some(left), Some(packed)) => (self.unpacked_left, self.packed_left) = (left, packed),
            _ => return Err(UnpackError::TooLarge(self.limit)),
        }
        Ok(taken)
    }
}

impl<B: AsyncBufRead + Unpin> AsyncBufRead for Unpacked<B> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let Some(gzip) = &mut this.gzip else {
            return Pin::new(&mut this.body).poll_fill_buf(cx);
        };
        while gzip.rest().is_empty() && !gzip.ended {
            let piece = ready!(Pin::new(&mut this.body).poll_fill_buf(cx))?;
            let taken = gzip.unpack(piece)?;
            Pin::new(&mut this.body).consume(taken);
        }
        Poll::Ready(Ok(gzip.rest()))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        match &mut this.gzip {
            Some(gzip) => gzip.read += amount,
            None => Pin::new(&mut this.body).consume(amount),
        }
    }
}

impl<B: AsyncBufRead + Unpin> AsyncRead for Unpacked<B> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let read = io::Read::read(&mut available, buffer)?;
        self.consume(read);
        Poll::Ready(Ok(read))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::io::{AsyncReadExt, BufReader, Cursor};
    use tokio::runtime::Builder;

    use super::*;
    use crate::watch::error::WatchError;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks what arrives in pieces of so many bytes. The most that was held at a time, too.
    fn unpack(packed: &[u8], piece: usize, limit: usize) -> Result<(Vec<u8>, usize), WatchError> {
        let body = BufReader::with_capacity(piece, Cursor::new(packed));
        let mut body = Unpacked::gzip(body, limit);
        let (mut text, mut part, mut held) = (Vec::new(), [0; 1000], 0);
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            loop {
                let read = body.read(&mut part).await?;
                if read == 0 {
                    return Ok((text, held));
                }
                text.extend_from_slice(&part[..read]);
                held = held.max(body.gzip.as_ref().unwrap().decoder.get_ref().len());
            }
        })
    }

    fn text() -> Vec<u8> {
        let lines =
            (0_u32..20_000).map(|n| format!("Service web-{n} {}\n", n.wrapping_mul(2_654_435_761)));
        lines.collect::<String>().into_bytes()
    }

    #[test]
    fn whatever_pieces_arrive_the_whole_is_the_same() {
        let text = text();
        let limit = text.len();
        for piece in [1, 7, PIECE, 64 << 10] {
            let (unpacked, _) = unpack(&packed(&text), piece, limit).unwrap();
            assert!(unpacked == text, "{piece}");
        }
        assert_eq!(unpack(&packed(b""), 10, 0).unwrap().0, b"");
        // Members one after the other are one text (RFC 1952, section 2.2).
        let two = [packed(b"one "), packed(b"two")].concat();
        assert_eq!(unpack(&two, 10, 100).unwrap().0, b"one two");
    }

    /// The output of `printf 'kube' | gzip -n` of gzip 1.12.
    #[test]
    fn what_gzip_packs_is_unpacked() {
        let packed = [
            0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0x2e, 0x4d, 0x4a,
            0x05, 0x00, 0x57, 0x99, 0x4a, 0xf5, 0x04, 0x00, 0x00, 0x00,
        ];
        assert_eq!(unpack(&packed, 5, 4).unwrap().0, b"kube");
    }

    #[test]
    fn what_breaks_off_is_an_error_wherever_it_does() {
        let whole = packed(&text());
        let ends = (0..30).chain(whole.len() - 10..whole.len());
        for end in ends.chain([whole.len() / 2]) {
            let error = unpack(&whole[..end], 4096, 1 << 24).unwrap_err();
            assert!(
                matches!(error, WatchError::NotUnpacked(UnpackError::Incomplete)),
                "{end}: {error}"
            );
        }
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let whole = packed(&text());
        let mut sum = whole.clone();
        let place = sum.len() - 6;
        sum[place] ^= 1;
        let more = [&*whole, b"more of it"].concat();
        for (what, packed) in [
            ("sum", sum),
            ("text", b"{\"kind\":\"ServiceList\"}".into()),
            ("more", more),
        ] {
            let error = unpack(&packed, 4096, 1 << 24).unwrap_err();
            assert!(
                matches!(error, WatchError::NotUnpacked(_)),
                "{what}: {error}"
            );
            let start = "the answer is in gzip and cannot be unpacked: ";
            assert!(error.to_string().starts_with(start), "{error}");
        }
    }

    /// 64 MiB that come in 64 KiB: no more than a piece is ever held, and no more than allowed is unpacked.
    #[test]
    fn a_bomb_is_defused() {
        let bomb = packed(&vec![0; 64 << 20]);
        assert!(bomb.len() < 300 << 10, "{}", bomb.len());
        let error = unpack(&bomb, 64 << 10, 1 << 20).unwrap_err();
        assert!(error.has_too_many_bytes());
        assert_eq!(
            error.to_string(),
            "the answer has more than 1048576 bytes when unpacked; is this an API server?"
        );
        let (unpacked, held) = unpack(&bomb, 64 << 10, 64 << 20).unwrap();
        assert_eq!(unpacked.len(), 64 << 20);
        assert!(held <= 1 << 20, "{held}");
    }

    /// Empty blocks become nothing: they are bounded before they are unpacked.
    #[test]
    fn an_endless_answer_that_becomes_nothing_is_an_error() {
        let head = &packed(b"")[..10];
        // Stored blocks without a byte (RFC 1951, section 3.2.4).
        let blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(20_000);
        let error = unpack(&[head, &blocks].concat(), 4096, 10_000).unwrap_err();
        assert!(matches!(error, WatchError::TooLarge { .. }), "{error}");
    }
}
