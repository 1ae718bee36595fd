//! Status bits of a flow.

bitflags::bitflags! {
    /// What the kernel knows about a flow: `IPS_*` of
    /// [`linux/netfilter/nf_conntrack_common.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nf_conntrack_common.h).
    /// Unknown bits are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct Status: u32 {
        /// Another flow announced it, such as the control connection of FTP.
        const EXPECTED = 1 << 0;
        /// There were packets in both directions.
        const SEEN_REPLY = 1 << 1;
        /// Not dropped early when the table is full.
        const ASSURED = 1 << 2;
        /// Its first packet has left this machine or was delivered here.
        const CONFIRMED = 1 << 3;
        /// Its source is translated.
        const SRC_NAT = 1 << 4;
        /// Its destination is translated.
        const DST_NAT = 1 << 5;
        /// TCP sequence numbers are adjusted.
        const SEQ_ADJUST = 1 << 6;
        /// Whether to translate its source is decided.
        const SRC_NAT_DONE = 1 << 7;
        /// Whether to translate its destination is decided.
        const DST_NAT_DONE = 1 << 8;
        /// The flow has left the table.
        const DYING = 1 << 9;
        /// Its timeout is not changed, neither by packets nor by requests.
        const FIXED_TIMEOUT = 1 << 10;
        /// A template, which no packet belongs to.
        const TEMPLATE = 1 << 11;
        /// Two flows were translated to the same tuple, and this one gave way.
        const NAT_CLASH = 1 << 12;
        /// A helper was attached to it by rule.
        const HELPER = 1 << 13;
        /// Its packets take the fast path of a flow table.
        const OFFLOAD = 1 << 14;
        /// The network card forwards its packets.
        const HW_OFFLOAD = 1 << 15;
        const _ = !0;
    }
}
