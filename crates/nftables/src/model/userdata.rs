//! What `nft` keeps in the userdata of objects: comments, and how sets are to be printed.
//!
//! Userdata is a list of one byte of type, one byte of length, and the value.
//! Source: libnftnl's `include/libnftnl/udata.h`.

use crate::model::DataType;

/// Of a rule: its comment, text with a NUL.
pub const RULE_COMMENT: u8 = 0;
/// Of an element: its comment.
pub const ELEMENT_COMMENT: u8 = 0;
/// Of a table, a chain and an object: its comment.
pub const COMMENT: u8 = 0;
/// Of a set: the byte order of its keys (1 host, 2 network), four bytes in host byte order.
pub const SET_KEY_BYTEORDER: u8 = 0;
/// Of a map: the byte order of its data.
pub const SET_DATA_BYTEORDER: u8 = 1;
/// Of a set: what its keys are taken from. See [`TypeOf`](crate::TypeOf).
pub const SET_KEY_TYPEOF: u8 = 3;
/// Of a map: what its data are taken from.
pub const SET_DATA_TYPEOF: u8 = 4;
/// Of a map: whether its data are ranges.
pub const SET_DATA_INTERVAL: u8 = 6;
/// Of a set: its comment.
pub const SET_COMMENT: u8 = 7;

/// The longest comment, in bytes, as `nft` has it.
const COMMENT_MAX: usize = 128;

/// The values of userdata with their types, in order. Ends where the bytes are not such a list.
pub fn items(userdata: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = userdata;
    std::iter::from_fn(move || {
        let [kind, length, tail @ ..] = rest else {
            return None;
        };
        let (value, tail) = tail.split_at_checked(usize::from(*length))?;
        rest = tail;
        Some((*kind, value))
    })
}

/// The comment in userdata, where comments have this type.
#[must_use]
pub fn find_comment(userdata: &[u8], kind: u8) -> Option<&str> {
    let (_, value) = items(userdata).find(|(found, _)| *found == kind)?;
    std::str::from_utf8(value.strip_suffix(&[0])?).ok()
}

/// Userdata with a comment of this type, cut off behind 128 bytes.
#[must_use]
pub fn comment(kind: u8, text: &str) -> Vec<u8> {
    let mut userdata = Vec::new();
    push_comment(&mut userdata, kind, text);
    userdata
}

fn push_comment(userdata: &mut Vec<u8>, kind: u8, text: &str) {
    let mut end = text.len().min(COMMENT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let value: Vec<u8> = text.bytes().filter(|byte| *byte != 0).chain([0]).collect();
    push(userdata, kind, &value);
}

pub(super) fn push(userdata: &mut Vec<u8>, kind: u8, value: &[u8]) {
    // No value here is longer than a comment, or than what a few parts are taken from.
    userdata.extend([kind, u8::try_from(value.len()).unwrap_or_default()]);
    userdata.extend(value);
}

/// Userdata of a set with keys of these types, as `nft` writes it.
pub(crate) fn set(key: &[DataType], data: Option<DataType>, comment: Option<&str>) -> Vec<u8> {
    let mut userdata = Vec::new();
    push(
        &mut userdata,
        SET_KEY_BYTEORDER,
        &byte_order(key).to_ne_bytes(),
    );
    if let Some(data) = data {
        push(
            &mut userdata,
            SET_DATA_BYTEORDER,
            &byte_order(&data.parts()).to_ne_bytes(),
        );
    }
    if let Some(comment) = comment {
        push_comment(&mut userdata, SET_COMMENT, comment);
    }
    userdata
}

/// As `nft` numbers byte orders: none (0) of concatenations and verdicts, host (1), network (2).
fn byte_order(types: &[DataType]) -> u32 {
    match types {
        [DataType::VERDICT] => 0,
        [DataType::STRING | DataType::IFNAME] => 1,
        [single] if single.is_host_order() => 1,
        [_] => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The comment of the captured rule "a rule", as nft 1.0.6 wrote it.
    #[test]
    fn comments_are_those_of_nft() {
        assert_eq!(comment(RULE_COMMENT, "a rule"), b"\x00\x07a rule\x00");
        assert_eq!(
            find_comment(b"\x00\x07a rule\x00", RULE_COMMENT),
            Some("a rule")
        );
        for damaged in [
            &b"\x00\x09a rule\x00"[..],
            b"\x00",
            b"",
            b"\x00\x01a",
            b"\x01\x01\x00",
        ] {
            assert_eq!(find_comment(damaged, RULE_COMMENT), None);
        }
        let long = "\u{e9}".repeat(100);
        assert_eq!(comment(RULE_COMMENT, &long).len(), 2 + 128 + 1);
        assert_eq!(comment(RULE_COMMENT, "a\0b"), b"\x00\x03ab\x00");
    }
}
