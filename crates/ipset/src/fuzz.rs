//! Bodies of the fuzz targets. Each takes any bytes, must not panic, and holds what was read
//! against what is written from it. `cargo test` replays the seeds in `corpus/`.

use netlink_packet_core::Emitable;

use crate::message::{EntryBatch, Reply, SetPart};
use crate::uapi::NFNL_SUBSYS_IPSET;
use crate::wire::{Count, Fill, Sink, decode_entry, encode_entry};
use crate::{DecodeError, Entry, Family, Set, SetSpec, SetType, parse_save};

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
        for family in [Family::Unspecified, Family::Inet, Family::Inet6] {
            if let Ok(entry) = decode_entry(&set_type, family, bytes) {
                assert_eq!(reread(&set_type, family, &entry), Ok(entry));
            }
        }
    }
    // Whatever it says, it says it.
    _ = EntryBatch::failed(bytes);
}

/// The text of `ipset save`.
pub fn save(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(sets) = parse_save(text) else {
        return;
    };
    let printed: String = sets.iter().map(Set::to_string).collect();
    assert_eq!(parse_save(&printed), Ok(sets));
}

/// An entry as text: a line for the set, one for the entry.
pub fn entry_text(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok();
    let Some((spec, entry)) = text.and_then(|text| text.split_once('\n')) else {
        return;
    };
    let Ok(spec) = SetSpec::parse(spec) else {
        return;
    };
    let Ok(entry) = spec.parse_entry(entry) else {
        return;
    };
    if spec.check(&entry).is_ok() {
        assert_eq!(spec.parse_entry(&entry.to_string()), Ok(entry));
    }
}

fn reread(set_type: &SetType, family: Family, entry: &Entry) -> Result<Entry, DecodeError> {
    let mut count = Count::default();
    encode_entry(entry, None, &mut count);
    let mut bytes = vec![0; count.position()];
    encode_entry(entry, None, &mut Fill::new(&mut bytes));
    decode_entry(set_type, family, &bytes)
}
