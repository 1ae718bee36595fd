//! Requests.

use netlink_packet_core::{Emitable, NLM_F_DUMP};
use netlink_wire::{Family, Writer, measure};

use super::{encode_header, encode_zone_and_id};
use crate::uapi::{
    CTA_MARK, CTA_MARK_MASK, CTA_STATUS, CTA_STATUS_MASK, CTA_TIMEOUT, CTA_TUPLE_ORIG, CTA_ZONE,
    IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_NEW, NFNL_SUBSYS_CTNETLINK,
};
use crate::wire::{encode_tuple, seconds};
use crate::{Filter, FlowKey, FlowUpdate};

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Lists all flows of a family.
    List(Family),
    /// Lists flows of a filter, and maybe others: a kernel passes over the choices that it does not know.
    /// [`Filter::matches`] recognises these.
    ListWhere(Filter),
    /// Gets one flow, whatever the id of the key.
    Get(FlowKey),
    /// Changes one flow.
    Update(FlowUpdate),
    /// Deletes one flow.
    Delete(FlowKey),
    /// Deletes all flows, of every zone, or those of a family. Linux before 5.4 deletes those of both families whatever
    /// is asked.
    Flush(Option<Family>),
}

impl Request {
    /// `nlmsg_type`.
    #[must_use]
    pub const fn message_type(&self) -> u16 {
        let command = match self {
            Self::List(_) | Self::ListWhere(_) | Self::Get(_) => IPCTNL_MSG_CT_GET,
            Self::Update(_) => IPCTNL_MSG_CT_NEW,
            Self::Delete(_) | Self::Flush(_) => IPCTNL_MSG_CT_DELETE,
        };
        NFNL_SUBSYS_CTNETLINK << 8 | command
    }

    /// `nlmsg_flags`, beside `NLM_F_REQUEST` and `NLM_F_ACK`.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        match self {
            Self::List(_) | Self::ListWhere(_) => NLM_F_DUMP,
            Self::Get(_) | Self::Update(_) | Self::Delete(_) | Self::Flush(_) => 0,
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::List(family) => encode_header(writer, *family),
            Self::ListWhere(filter) => encode_filter(writer, filter),
            Self::Get(key) => encode_key(writer, key, None),
            Self::Update(update) => encode_update(writer, update),
            Self::Delete(key) => encode_key(writer, key, key.id),
            Self::Flush(None) => writer.header([0; 4]),
            // With version 0 the kernel passes over the family, as old tools sent one without meaning it.
            Self::Flush(Some(family)) => writer.header([family.number(), 1, 0, 0]),
        }
    }
}

fn encode_key(writer: &mut Writer<'_>, key: &FlowKey, id: Option<u32>) {
    encode_header(writer, key.original.family());
    encode_tuple(writer, CTA_TUPLE_ORIG, &key.original);
    encode_zone_and_id(writer, key.zone, id);
}

fn encode_filter(writer: &mut Writer<'_>, filter: &Filter) {
    writer.header([filter.family.map_or(0, Family::number), 0, 0, 0]);
    if let Some(mark) = filter.mark {
        writer.u32_be(CTA_MARK, mark.value);
        writer.u32_be(CTA_MARK_MASK, mark.mask);
    }
    // The kernel refuses a mask without bits.
    let mask = filter.status | filter.status_unset;
    if !mask.is_empty() {
        writer.u32_be(CTA_STATUS, filter.status.bits());
        writer.u32_be(CTA_STATUS_MASK, mask.bits());
    }
    // Kernels without zones reject any.
    if let Some(zone) = filter.zone.filter(|zone| *zone != 0) {
        writer.u16_be(CTA_ZONE, zone);
    }
}

fn encode_update(writer: &mut Writer<'_>, update: &FlowUpdate) {
    encode_key(writer, &update.key, None);
    if let Some(timeout) = update.timeout {
        writer.u32_be(CTA_TIMEOUT, seconds(timeout));
    }
    if let Some(mark) = update.mark {
        // The kernel would flip bits outside of the mask.
        writer.u32_be(CTA_MARK, mark.value & mark.mask);
        // Without a mask the kernel takes all bits.
        if mark.mask != u32::MAX {
            writer.u32_be(CTA_MARK_MASK, mark.mask);
        }
    }
    if let Some(status) = update.status {
        writer.u32_be(CTA_STATUS, status.bits());
    }
}

impl Emitable for Request {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}
