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
    use netlink_wire::seeds;

    fn replay(name: &str, target: fn(&[u8])) {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        assert!(seeds::replay(folder, 50, target).unwrap() > 10);
    }

    #[test]
    fn seeds_of_save_text() {
        replay("save_text", super::save_text);
    }

    #[test]
    #[cfg(feature = "tools")]
    fn seeds_of_tool_message() {
        replay("tool_message", super::tool_message);
    }
}
