//! Bodies of the fuzz targets, here so that `cargo test` can replay their corpora. Not part of the API.

use crate::{Ruleset, SaveFormat};

/// What is read from any text reads back from what is rendered of it.
///
/// # Panics
/// If it does not.
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
        // Must not panic; what it says is up to the rule.
        let _ = rule.validate();
    }
}

/// Any words of a tool are understood or not, without a panic.
pub fn tool_message(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = crate::tools::read_message(text);
    }
}
