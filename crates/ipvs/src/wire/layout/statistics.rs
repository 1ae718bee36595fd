//! `IPVS_STATS_ATTR_*`.

use netlink_wire::{DecodeError, Writer, walk};

use crate::uapi::*;
use crate::wire::counter;
use crate::{Counters, Statistics};

/// Reads counters of 64 bits if there are any, else those of 32.
pub(crate) fn statistics(
    narrow: Option<&[u8]>,
    wide: Option<&[u8]>,
) -> Result<Statistics, DecodeError> {
    let mut statistics = Statistics::default();
    let Some(nest) = wide.or(narrow) else {
        return Ok(statistics);
    };
    let Statistics { totals, rates } = &mut statistics;
    walk(nest, "IPVS_*_ATTR_STATS*", STATS_ATTRIBUTES, |attribute| {
        let field = match attribute.kind() {
            IPVS_STATS_ATTR_CONNS => &mut totals.connections,
            IPVS_STATS_ATTR_INPKTS => &mut totals.incoming_packets,
            IPVS_STATS_ATTR_OUTPKTS => &mut totals.outgoing_packets,
            IPVS_STATS_ATTR_INBYTES => &mut totals.incoming_bytes,
            IPVS_STATS_ATTR_OUTBYTES => &mut totals.outgoing_bytes,
            IPVS_STATS_ATTR_CPS => &mut rates.connections,
            IPVS_STATS_ATTR_INPPS => &mut rates.incoming_packets,
            IPVS_STATS_ATTR_OUTPPS => &mut rates.outgoing_packets,
            IPVS_STATS_ATTR_INBPS => &mut rates.incoming_bytes,
            IPVS_STATS_ATTR_OUTBPS => &mut rates.outgoing_bytes,
            _ => return Ok(()),
        };
        *field = counter(attribute)?;
        Ok(())
    })?;
    Ok(statistics)
}

/// Writes the 64-bit form, which loses nothing.
pub(crate) fn put_statistics(writer: &mut Writer<'_>, kind: u16, statistics: &Statistics) {
    let Statistics { totals, rates } = statistics;
    writer.nest(kind, |writer| {
        put_counters(writer, IPVS_STATS_ATTR_CONNS, totals);
        put_counters(writer, IPVS_STATS_ATTR_CPS, rates);
    });
}

/// The rates have the numbers that follow those of the totals, in the same order.
fn put_counters(writer: &mut Writer<'_>, first: u16, counters: &Counters) {
    let values = [
        counters.connections,
        counters.incoming_packets,
        counters.outgoing_packets,
        counters.incoming_bytes,
        counters.outgoing_bytes,
    ];
    for (kind, value) in (first..).zip(values) {
        writer.u64(kind, value);
    }
}
