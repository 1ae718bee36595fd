//! Sets and their elements as text.

use std::fmt;

use super::{act, value};
use crate::model::{
    DataType, Element, ElementFlags, FilledSet, Set, SetFlags, TypeOf, type_of, userdata,
};

/// A set or map with its elements.
pub(super) fn write(f: &mut fmt::Formatter<'_>, filled: &FilledSet) -> fmt::Result {
    let set = &filled.set;
    let is_map = set.data_type.is_some() || set.object_kind.is_some();
    writeln!(
        f,
        "\t{} {} {{",
        if is_map { "map" } else { "set" },
        set.name
    )?;
    match taken_from(set) {
        Some(taken_from) => writeln!(f, "\t\ttypeof {taken_from}")?,
        None => writeln!(f, "\t\ttype {}", types(set))?,
    }
    if set.policy == Some(1) {
        writeln!(f, "\t\tpolicy memory")?;
    }
    if let Some(size) = set.description.size {
        writeln!(f, "\t\tsize {size}")?;
    }
    let flags: Vec<_> = [
        (SetFlags::CONSTANT, "constant"),
        (SetFlags::DYNAMIC, "dynamic"),
        (SetFlags::INTERVAL, "interval"),
        (SetFlags::TIMEOUT, "timeout"),
    ]
    .iter()
    .filter(|(flag, _)| set.flags.contains(*flag))
    .map(|(_, word)| *word)
    .collect();
    // A timeout of its own says that elements have timeouts.
    let implied = flags == ["timeout"] && set.timeout.is_some();
    if !flags.is_empty() && !implied {
        writeln!(f, "\t\tflags {}", flags.join(","))?;
    }
    for stateful in set.expression.iter().chain(&set.expressions) {
        // Without what it counts, which each element does for itself.
        let text = act::stateful(&stateful.0).unwrap_or_default();
        let text = text.strip_suffix(" packets 0 bytes 0").unwrap_or(&text);
        writeln!(f, "\t\t{text}")?;
    }
    if let Some(timeout) = set.timeout {
        writeln!(f, "\t\ttimeout {}", value::duration(timeout))?;
    }
    if let Some(interval) = set.gc_interval {
        writeln!(f, "\t\tgc-interval {}", value::duration(interval.into()))?;
    }
    if let Some(comment) = userdata::find_comment(&set.userdata, userdata::SET_COMMENT) {
        writeln!(f, "\t\tcomment {}", value::quoted(comment.as_bytes()))?;
    }
    let parts = set.key_type.parts();
    let shown = elements(filled, &parts);
    if !shown.is_empty() {
        write!(f, "\t\telements = {{ ")?;
        let per_line = per_line(&parts);
        for (index, element) in shown.iter().enumerate() {
            match index {
                0 => {}
                _ if index % per_line == 0 => write!(f, ",\n\t\t\t     ")?,
                _ => write!(f, ", ")?,
            }
            write!(f, "{element}")?;
        }
        writeln!(f, " }}")?;
    }
    writeln!(f, "\t}}")
}

/// How many elements `nft` puts on a line.
fn per_line(parts: &[DataType]) -> usize {
    match parts {
        [DataType::IPV4_ADDR] => 2,
        [DataType::IPV6_ADDR | DataType::IFNAME | DataType::STRING | DataType::ETHER_ADDR] => 1,
        [_] => 5,
        _ => 1,
    }
}

/// What keys and data are taken from, where the set says so.
fn taken_from(set: &Set) -> Option<String> {
    let of = |kind| {
        let parts: Vec<_> = type_of(set, kind)?
            .iter()
            .map(ToString::to_string)
            .collect();
        Some(parts.join(" . "))
    };
    let key = of(userdata::SET_KEY_TYPEOF)?;
    match set.flags.contains(SetFlags::MAP) {
        true => Some(format!("{key} : {}", of(userdata::SET_DATA_TYPEOF)?)),
        false => Some(key),
    }
}

fn type_of(set: &Set, kind: u8) -> Option<Vec<TypeOf>> {
    let (_, written) = userdata::items(&set.userdata).find(|(found, _)| *found == kind)?;
    type_of::read(written)
}

fn types(set: &Set) -> String {
    let joined = |kind: DataType| {
        let names: Vec<_> = kind.parts().iter().map(ToString::to_string).collect();
        names.join(" . ")
    };
    let key = joined(set.key_type);
    match (set.data_type, set.object_kind) {
        (Some(data), _) if set.flags.contains(SetFlags::MAP) => format!("{key} : {}", joined(data)),
        (_, Some(kind)) => format!("{key} : {kind}"),
        _ => key,
    }
}

/// The elements of a set whose key has parts of these types, in the order of `nft`.
pub(super) fn elements(filled: &FilledSet, types: &[DataType]) -> Vec<String> {
    let set = &filled.set;
    // The set's own types, where it has them.
    let own = set.key_type.parts();
    let types = if own.len() == types.len() && !own.is_empty() {
        &own[..]
    } else {
        types
    };
    // Numbers of no type of their own may be in host byte order.
    let host = userdata::items(&set.userdata)
        .any(|(kind, value)| kind == userdata::SET_KEY_BYTEORDER && value == 1_u32.to_ne_bytes());
    let types = if host && types == [DataType::INTEGER] {
        vec![DataType::UID]
    } else {
        let taken_from = type_of(set, userdata::SET_KEY_TYPEOF).unwrap_or_default();
        let mut taken_from = taken_from.into_iter();
        let shown = types.iter().map(|kind| match taken_from.next() {
            Some(TypeOf::Numgen(..)) => DataType::UID,
            _ => *kind,
        });
        shown.collect()
    };
    let types = &types[..];
    let mut sorted: Vec<&Element> = filled.elements.iter().collect();
    sorted.sort_by_cached_key(|element| {
        let end = element.flags.contains(ElementFlags::INTERVAL_END);
        let catchall = element.flags.contains(ElementFlags::CATCHALL);
        (catchall, order(types, key(element)), !end)
    });
    let mut shown = Vec::new();
    let intervals = set.flags.contains(SetFlags::INTERVAL) && types.len() == 1;
    let mut rest = sorted.into_iter().peekable();
    while let Some(element) = rest.next() {
        if element.flags.contains(ElementFlags::INTERVAL_END) {
            continue;
        }
        let shown_key = if element.flags.contains(ElementFlags::CATCHALL) {
            "*".to_owned()
        } else if intervals {
            let next = rest.peek().map(|next| key(next));
            interval(types, key(element), next)
        } else {
            fields(types, element)
        };
        shown.push(format!("{shown_key}{}", details(set, element)));
    }
    shown
}

fn key(element: &Element) -> &[u8] {
    element
        .key
        .as_ref()
        .and_then(|key| key.bytes())
        .unwrap_or_default()
}

/// What `nft` sorts by: of a concatenation the last part weighs most.
fn order(types: &[DataType], key: &[u8]) -> Vec<Vec<u8>> {
    let parts = value::parts(types, key);
    let number = |(kind, mut bytes): (DataType, Vec<u8>)| {
        let little = cfg!(target_endian = "little");
        if little && kind.is_host_order() || matches!(kind, DataType::IFNAME | DataType::STRING) {
            bytes.reverse();
        }
        bytes
    };
    parts.into_iter().rev().map(number).collect()
}

/// From a key up to the next element, which is behind its last, or up to the last key there is.
fn interval(types: &[DataType], first: &[u8], next: Option<&[u8]>) -> String {
    let kind = types.first().copied().unwrap_or_default();
    let last = match next {
        Some(next) => {
            let mut last = next.to_vec();
            for byte in last.iter_mut().rev() {
                let borrow = *byte == 0;
                *byte = byte.wrapping_sub(1);
                if !borrow {
                    break;
                }
            }
            last
        }
        None => vec![0xff; first.len()],
    };
    value::range(kind, first, &last)
}

/// A key, each part of which may be a range.
fn fields(types: &[DataType], element: &Element) -> String {
    let first = value::parts(types, key(element));
    let end = element
        .key_end
        .as_ref()
        .and_then(|end| end.bytes())
        .unwrap_or(key(element));
    let last = value::parts(types, end);
    let parts = first.iter().zip(&last);
    let texts: Vec<_> = parts
        .map(|((kind, first), (_, last))| value::range(*kind, first, last))
        .collect();
    texts.join(" . ")
}

/// What stands behind a key.
fn details(set: &Set, element: &Element) -> String {
    let mut text = String::new();
    for stateful in element.expression.iter().chain(&element.expressions) {
        text.push_str(&format!(
            " {}",
            act::stateful(&stateful.0).unwrap_or_default()
        ));
    }
    if let Some(timeout) = element.timeout {
        text.push_str(&format!(" timeout {}", value::duration(timeout)));
    }
    if let Some(expiration) = element.expiration {
        text.push_str(&format!(" expires {}", value::duration(expiration)));
    }
    if let Some(comment) = userdata::find_comment(&element.userdata, userdata::ELEMENT_COMMENT) {
        text.push_str(&format!(" comment {}", value::quoted(comment.as_bytes())));
    }
    if let (Some(data), Some(kind)) = (&element.data, set.data_type) {
        text.push_str(&format!(" : {}", value::data(&kind.parts(), data)));
    }
    if let Some(object) = &element.object {
        text.push_str(&format!(" : \"{object}\""));
    }
    text
}
