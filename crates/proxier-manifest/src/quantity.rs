//! The notations that Kubernetes has for amounts.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// It is not written as Go writes durations.
    #[error("{0:?} is not a duration such as 30s, 200ms or 1h30m")]
    Malformed(Box<str>),
    /// It is below zero.
    #[error("{0:?} is negative")]
    Negative(Box<str>),
    /// It is longer than a [`Duration`] can be.
    #[error("{0:?} is too long")]
    TooLong(Box<str>),
}

/// Parses a duration as Go prints and reads it (`time.ParseDuration`): `1h30m`, `200ms`, `1.5s`, `0`.
///
/// # Errors
///
/// [`DurationError`]; a negative duration is one, since no setting of a proxy can be negative.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.into());
    if text.starts_with('-') {
        return Err(DurationError::Negative(text.into()));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(malformed)?;
        let (number, tail) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| malformed())?;
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        seconds += number
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(malformed()),
            };
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong(text.into()))
}

/// Seconds since the Unix epoch of a time as `metadata.creationTimestamp` has it (RFC 3339).
pub(super) fn timestamp(text: &str) -> Result<i64, String> {
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|error| format!("{text:?} is not a time such as 2026-01-31T12:00:00Z: {error}"))?;
    Ok(match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |secs| -secs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("30s", 30_000),
            ("200ms", 200),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "5", "s", "5x", "1..5s", "-1s", "99999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(timestamp("1970-01-01T00:01:00Z"), Ok(60));
        assert!(timestamp("yesterday").is_err());
    }
}
