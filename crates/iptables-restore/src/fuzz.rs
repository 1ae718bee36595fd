//! Bodies of the fuzz targets (feature `fuzz`). The tests here replay the seeds in `corpus/`.
//!
//! They change with the crate and follow no version.

use crate::{ApplyOptions, RestoreFile, Ruleset, SaveFormat};

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

/// Parses any text as a file for `iptables-restore`, renders it and parses that: the commands are equal. What it makes of no
/// tables at all is computed in both ways.
///
/// # Panics
/// If they differ.
pub fn restore_file(data: &[u8]) {
    let Ok(file) = RestoreFile::parse_bytes(data) else {
        return;
    };
    let rendered = file.to_bytes();
    let again = RestoreFile::parse_bytes(&rendered);
    let twice = again.as_ref().map(RestoreFile::to_bytes);
    assert_eq!(twice.as_ref(), Ok(&rendered));
    let commands = |file: &RestoreFile| -> Vec<_> {
        let lines = file.sections.iter().flat_map(|section| &section.lines);
        lines.map(|line| line.command.clone()).collect()
    };
    assert_eq!(again.map(|again| commands(&again)), Ok(commands(&file)));
    for options in [ApplyOptions::new(), ApplyOptions::noflush()] {
        // Any result is right, but it must not panic.
        let _ = file.apply(&mut Ruleset::new(), options);
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
    fn seeds_of_restore_file() {
        replay("restore_file", super::restore_file);
    }

    #[test]
    #[cfg(feature = "tools")]
    fn seeds_of_tool_message() {
        replay("tool_message", super::tool_message);
    }
}
