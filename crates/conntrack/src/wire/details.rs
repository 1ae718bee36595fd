//! Reading and writing what a flow has beside its tuples.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netlink_wire::{Attribute, DecodeError, Fault, Names, Writer, require, walk};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::{Counters, Flow, ProtocolState, SctpState, Status, TcpState};

const NAMES_IN_COUNTERS: &Names = &[
    (CTA_COUNTERS_PACKETS, "CTA_COUNTERS_PACKETS"),
    (CTA_COUNTERS_BYTES, "CTA_COUNTERS_BYTES"),
];

const NAMES_IN_TIMESTAMP: &Names = &[
    (CTA_TIMESTAMP_START, "CTA_TIMESTAMP_START"),
    (CTA_TIMESTAMP_STOP, "CTA_TIMESTAMP_STOP"),
];

/// Reads an attribute that is not a tuple, zone or id into the flow; unknown ones are passed over.
pub(crate) fn decode_detail(attribute: Attribute<'_>, flow: &mut Flow) -> Result<(), Fault> {
    let value = attribute.value();
    match attribute.kind() {
        CTA_STATUS => flow.status = Some(Status::from_bits_retain(attribute.u32_be()?)),
        CTA_TIMEOUT => flow.timeout = Some(Duration::from_secs(attribute.u32_be()?.into())),
        CTA_MARK => flow.mark = Some(attribute.u32_be()?),
        CTA_USE => flow.uses = Some(attribute.u32_be()?),
        CTA_PROTOINFO => flow.state = decode_state(value)?,
        CTA_COUNTERS_ORIG => {
            flow.original_counters = Some(decode_counters(value, "CTA_COUNTERS_ORIG")?);
        }
        CTA_COUNTERS_REPLY => {
            flow.reply_counters = Some(decode_counters(value, "CTA_COUNTERS_REPLY")?);
        }
        CTA_TIMESTAMP => (flow.started, flow.ended) = decode_timestamps(value)?,
        _ => {}
    }
    Ok(())
}

fn decode_state(bytes: &[u8]) -> Result<Option<ProtocolState>, DecodeError> {
    let mut state = None;
    walk(bytes, "CTA_PROTOINFO", &[], |attribute| {
        let value = attribute.value();
        match attribute.kind() {
            CTA_PROTOINFO_TCP => {
                let number = decode_number(
                    value,
                    "CTA_PROTOINFO_TCP",
                    &[(CTA_PROTOINFO_TCP_STATE, "CTA_PROTOINFO_TCP_STATE")],
                )?;
                state = number.map(|number| ProtocolState::Tcp(TcpState(number)));
            }
            CTA_PROTOINFO_SCTP => {
                let number = decode_number(
                    value,
                    "CTA_PROTOINFO_SCTP",
                    &[(CTA_PROTOINFO_SCTP_STATE, "CTA_PROTOINFO_SCTP_STATE")],
                )?;
                state = number.map(|number| ProtocolState::Sctp(SctpState(number)));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(state)
}

/// The one number in a nest that has a name.
fn decode_number(
    bytes: &[u8],
    nest: &'static str,
    names: &Names,
) -> Result<Option<u8>, DecodeError> {
    let mut number = None;
    walk(bytes, nest, names, |attribute| {
        if names.iter().any(|(kind, _)| *kind == attribute.kind()) {
            number = Some(attribute.u8()?);
        }
        Ok(())
    })?;
    Ok(number)
}

fn decode_counters(bytes: &[u8], nest: &'static str) -> Result<Counters, DecodeError> {
    let (mut packets, mut octets) = (None, None);
    walk(bytes, nest, NAMES_IN_COUNTERS, |attribute| {
        match attribute.kind() {
            CTA_COUNTERS_PACKETS => packets = Some(attribute.u64_be()?),
            CTA_COUNTERS_BYTES => octets = Some(attribute.u64_be()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Counters {
        packets: require(packets, "CTA_COUNTERS_PACKETS")?,
        bytes: require(octets, "CTA_COUNTERS_BYTES")?,
    })
}

type Timestamps = (Option<SystemTime>, Option<SystemTime>);

fn decode_timestamps(bytes: &[u8]) -> Result<Timestamps, DecodeError> {
    let (mut start, mut stop) = (None, None);
    walk(bytes, "CTA_TIMESTAMP", NAMES_IN_TIMESTAMP, |attribute| {
        match attribute.kind() {
            CTA_TIMESTAMP_START => start = time(attribute.u64_be()?),
            CTA_TIMESTAMP_STOP => stop = time(attribute.u64_be()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok((start, stop))
}

/// 0 is a time that was not taken.
fn time(nanoseconds: u64) -> Option<SystemTime> {
    let since = Duration::from_nanos(nanoseconds);
    (nanoseconds != 0).then(|| UNIX_EPOCH.checked_add(since))?
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole seconds, as many as the kernel has room for.
pub(crate) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Writes what [`decode_detail`] reads.
pub(crate) fn encode_details(writer: &mut Writer<'_>, flow: &Flow) {
    if let Some(status) = flow.status {
        writer.u32_be(CTA_STATUS, status.bits());
    }
    if let Some(timeout) = flow.timeout {
        writer.u32_be(CTA_TIMEOUT, seconds(timeout));
    }
    encode_counters(writer, CTA_COUNTERS_ORIG, flow.original_counters);
    encode_counters(writer, CTA_COUNTERS_REPLY, flow.reply_counters);
    if flow.started.is_some() || flow.ended.is_some() {
        writer.nest(CTA_TIMESTAMP, |writer| {
            for (kind, time) in [
                (CTA_TIMESTAMP_START, flow.started),
                (CTA_TIMESTAMP_STOP, flow.ended),
            ] {
                if let Some(time) = time {
                    writer.u64_be(kind, nanoseconds(time));
                }
            }
        });
    }
    if let Some(state) = flow.state {
        let (protocol, kind, number) = match state {
            ProtocolState::Tcp(state) => (CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, state.0),
            ProtocolState::Sctp(state) => (CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_STATE, state.0),
        };
        writer.nest(CTA_PROTOINFO, |writer| {
            writer.nest(protocol, |writer| writer.u8(kind, number));
        });
    }
    if let Some(mark) = flow.mark {
        writer.u32_be(CTA_MARK, mark);
    }
    if let Some(uses) = flow.uses {
        writer.u32_be(CTA_USE, uses);
    }
}

fn encode_counters(writer: &mut Writer<'_>, kind: u16, counters: Option<Counters>) {
    if let Some(Counters { packets, bytes }) = counters {
        writer.nest(kind, |writer| {
            writer.u64_be(CTA_COUNTERS_PACKETS, packets);
            writer.u64_be(CTA_COUNTERS_BYTES, bytes);
        });
    }
}
