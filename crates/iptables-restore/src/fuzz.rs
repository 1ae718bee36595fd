//! Bodies of the fuzz targets (feature `fuzz`). The tests here replay the seeds in `corpus/`.
//!
//! They change with the crate and follow no version.

use crate::{Ruleset, SaveFormat};

/// Parses any text, renders the result and parses that: both rule sets are equal.
///
/// # Panics
/// If they differ.
pub fn save_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(read) = Ruleset::parse(text) else {
        return;
    };
    let rendered = read.display(SaveFormat::SAVE_COUNTERS).to_string();
    let again = Ruleset::parse(&rendered);
    assert_eq!(again.as_ref(), Ok(&read), "rendered:\n{rendered}");
    let twice = again.map(|again| again.display(SaveFormat::SAVE_COUNTERS).to_string());
    assert_eq!(twice, Ok(rendered));
    for rule in read
        .tables
        .iter()
        .flat_map(|table| &table.chains)
        .flat_map(|chain| &chain.rules)
    {
        // Any result is right, but it must not panic.
        let _ = rule.validate();
    }
}

/// Any message of a tool is understood or not, without a panic.
#[cfg(feature = "tools")]
pub fn tool_message(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = crate::tools::read_message(text);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    fn replay(target: &str, body: fn(&[u8])) -> std::io::Result<usize> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        let mut count = 0;
        for entry in std::fs::read_dir(folder)? {
            body(&std::fs::read(entry?.path())?);
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn seeds_of_save_text() {
        assert!(replay("save_text", super::save_text).unwrap() > 10);
    }

    #[test]
    #[cfg(feature = "tools")]
    fn seeds_of_tool_message() {
        assert!(replay("tool_message", super::tool_message).unwrap() > 10);
    }
}
