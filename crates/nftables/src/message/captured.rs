//! The messages in `tests/data/`, for tests.

const CAPTURED: &str = include_str!("../../tests/data/nft-1.0.6-linux-6.18.txt");

/// Direction, type, flags and payload of each message.
pub(crate) fn captured() -> impl Iterator<Item = (char, u16, u16, Vec<u8>)> {
    CAPTURED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |word: &str| u16::from_str_radix(word, 16).unwrap();
            let payload = (0..words[3].len()).step_by(2);
            (
                words[0].chars().next().unwrap(),
                number(words[1]),
                number(words[2]),
                payload
                    .map(|at| u8::from_str_radix(&words[3][at..at + 2], 16).unwrap())
                    .collect(),
            )
        })
}
