//! Bodies of the fuzz targets (feature `fuzz`). Each takes any bytes, must not panic, and compares what
//! was read with what is written from it. The tests here replay the seeds in `corpus/`.

use netlink_packet_core::Emitable;
use netlink_wire::{Writer, measure};

use crate::message::{EntryBatch, Reply, SetPart};
use crate::uapi::NFNL_SUBSYS_IPSET;
use crate::wire::{decode_entry, encode_entry};
use crate::{DecodeError, Entry, Family, RestoreFile, Set, SetName, SetSpec, SetType, parse_save};

/// A reply: its command, then what follows the netlink header.
pub fn reply(bytes: &[u8]) {
    let Some((command, payload)) = bytes.split_first() else {
        return;
    };
    let Ok(read) = Reply::parse(NFNL_SUBSYS_IPSET << 8 | u16::from(*command), payload) else {
        return;
    };
    let mut written = vec![0; read.buffer_len()];
    read.emit(&mut written);
    assert_eq!(
        Reply::parse(read.message_type(), &written).as_ref(),
        Ok(&read)
    );
    if let Reply::Set(SetPart {
        info: Some(info),
        entries,
        ..
    }) = &read
    {
        let (set_type, family) = (info.spec.set_type, info.spec.family);
        for entry in entries.decode(set_type, family).filter_map(Result::ok) {
            assert_eq!(reread(&set_type, family, &entry), Ok(entry));
        }
    }
}

/// The data of an entry, read as of every type and family; and the same bytes as the echo of a
/// request that failed.
pub fn entry(bytes: &[u8]) {
    for set_type in SetType::ALL {
        for family in [None, Some(Family::V4), Some(Family::V6)] {
            if let Ok(entry) = decode_entry(&set_type, family, bytes) {
                assert_eq!(reread(&set_type, family, &entry), Ok(entry));
            }
        }
    }
    // It must not panic; any result is right.
    _ = EntryBatch::failed(bytes);
}

/// The text of `ipset save`.
pub fn save(bytes: &[u8]) {
    let Ok(sets) = parse_save(bytes) else {
        return;
    };
    let printed: Vec<u8> = sets.iter().flat_map(Set::to_bytes).collect();
    assert_eq!(parse_save(&printed), Ok(sets));
}

/// A file for `ipset restore`, where sets that it does not create are of a type chosen by their name.
pub fn restore(bytes: &[u8]) {
    let type_of = |set: SetName| {
        let sum: usize = set.as_str().bytes().map(usize::from).sum();
        SetType::ALL.get(sum % SetType::ALL.len()).copied()
    };
    let Ok(file) = RestoreFile::parse_with(bytes, type_of) else {
        return;
    };
    let printed = file.to_bytes();
    let again = RestoreFile::parse_with(&printed, type_of).map(|file| file.to_bytes());
    assert_eq!(again, Ok(printed));
}

/// An entry as text: a line for the set, one for the entry.
pub fn entry_text(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(spec), Some(entry)) = (lines.next(), lines.next()) else {
        return;
    };
    let Ok(spec) = std::str::from_utf8(spec) else {
        return;
    };
    let Ok(spec) = SetSpec::parse(spec) else {
        return;
    };
    let Ok(entry) = spec.parse_entry(entry) else {
        return;
    };
    if spec.check(&entry).is_ok() {
        assert_eq!(spec.parse_entry(entry.to_bytes()), Ok(entry));
    }
}

fn reread(set_type: &SetType, family: Option<Family>, entry: &Entry) -> Result<Entry, DecodeError> {
    let mut bytes = vec![0; measure(|writer| encode_entry(entry, None, writer))];
    encode_entry(entry, None, &mut Writer::new(&mut bytes));
    decode_entry(set_type, family, &bytes)
}

/// The seeds, replayed. `corpus/README.md` says where they come from.
#[cfg(test)]
mod tests {
    use netlink_wire::seeds;

    use super::*;

    fn replay(name: &str, target: fn(&[u8])) {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        assert!(seeds::replay(folder, usize::MAX, target).unwrap() > 0);
    }

    #[test]
    fn replies() {
        replay("reply", reply);
    }

    #[test]
    fn entries() {
        replay("entry", entry);
    }

    #[test]
    fn saved_text() {
        replay("save", save);
    }

    #[test]
    fn restore_files() {
        replay("restore", restore);
    }

    #[test]
    fn entries_as_text() {
        replay("entry_text", entry_text);
    }
}
