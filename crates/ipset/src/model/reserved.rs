//! Words that `ipset` takes as options of its own wherever they stand on a line.

/// What such a word asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalOption {
    /// `-exist`, `-!`: creating what exists and deleting what does not exist both succeed.
    Exist,
    /// An option that changes only what `ipset` prints.
    Output,
    /// One that takes the next word as its argument.
    WithArgument,
}

impl GlobalOption {
    /// The option that this word is, if it is one. Long names take one dash or two and cannot be
    /// abbreviated.
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        let long = word.strip_prefix(b"-")?;
        match long.strip_prefix(b"-").unwrap_or(long) {
            b"!" | b"exist" => Some(Self::Exist),
            b"quiet" | b"resolve" | b"sorted" | b"name" | b"terse" => Some(Self::Output),
            b"output" | b"file" => Some(Self::WithArgument),
            _ => match long {
                b"q" | b"r" | b"s" | b"n" | b"t" => Some(Self::Output),
                b"o" | b"f" => Some(Self::WithArgument),
                _ => None,
            },
        }
    }
}
