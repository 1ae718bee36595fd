//! Chains.

use netlink_wire::{Attribute, Fault, Writer};

use crate::model::expression::Counter;
use crate::model::{Name, TableFamily, VerdictCode};
use crate::uapi::NFTA_DEVICE_NAME;
use crate::wire::{Value, attributes, number, read_list, write_list};

bitflags::bitflags! {
    /// Properties of a chain.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct ChainFlags: u32 {
        /// It has a hook. The kernel sets it.
        const BASE = 1;
        /// Its rules are carried out by the device.
        const HW_OFFLOAD = 2;
        /// It belongs to the rule that jumps to it, and goes with it.
        const BINDING = 4;
    }
}

number! {
    /// Where in a packet's way a base chain sees it. In the families `netdev` and `arp` the numbers mean
    /// other places: see [`HookNumber::in_family`].
    HookNumber(u32) {
        /// When it has come in, before it is routed.
        PREROUTING = 0 "prerouting",
        /// When it is for this machine.
        INPUT = 1 "input",
        /// When it is passed on.
        FORWARD = 2 "forward",
        /// When this machine sends it.
        OUTPUT = 3 "output",
        /// Before it goes out.
        POSTROUTING = 4 "postrouting",
        /// When the device has it, before all others (family `inet`, from Linux 5.10).
        INGRESS = 5 "ingress",
    }
}

impl HookNumber {
    /// The word that `nft` has for the hook of this number in a family.
    #[must_use]
    pub const fn in_family(self, family: TableFamily) -> Option<&'static str> {
        match (family, self.0) {
            (TableFamily::ARP, 0) => Some("input"),
            (TableFamily::ARP, 1) => Some("output"),
            (TableFamily::NETDEV, 0) => Some("ingress"),
            (TableFamily::NETDEV, 1) => Some("egress"),
            (TableFamily::ARP | TableFamily::NETDEV, _) => None,
            _ => self.name(),
        }
    }
}

/// The devices of a hook, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Devices(pub Vec<Name>);

impl Value for Devices {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        read_list(attribute).map(Self)
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        write_list(&self.0, writer, kind, NFTA_DEVICE_NAME);
    }
}

attributes! {
    /// The place of a base chain.
    Hook: "NFTA_CHAIN_HOOK" {
        /// Where in the packet's way.
        required number: HookNumber = NFTA_HOOK_HOOKNUM,
        /// Its order among the chains there; the lowest comes first.
        required priority: i32 = NFTA_HOOK_PRIORITY,
        /// Its one device.
        optional device: Name = NFTA_HOOK_DEV,
        /// Its devices.
        default devices: Devices = NFTA_HOOK_DEVS,
    }
}

impl Hook {
    /// A place in the packet's way.
    #[must_use]
    pub fn new(number: HookNumber, priority: i32) -> Self {
        Self {
            number,
            priority,
            ..Self::default()
        }
    }
}

/// Priorities that have a name.
pub mod priority {
    /// Before connections are tracked.
    pub const RAW: i32 = -300;
    /// Where marks are set.
    pub const MANGLE: i32 = -150;
    /// Where destinations are translated.
    pub const DSTNAT: i32 = -100;
    /// Where packets are accepted and dropped.
    pub const FILTER: i32 = 0;
    /// Where the security context is set.
    pub const SECURITY: i32 = 50;
    /// Where sources are translated.
    pub const SRCNAT: i32 = 100;
}

attributes! {
    /// A chain: rules in order. One with a hook is a base chain and sees packets; others are jumped to.
    Chain: "the chain", #[doc = "The family of its table."] family: TableFamily {
        /// The name of its table.
        required table: Name = NFTA_CHAIN_TABLE,
        /// Its name. A request may name it by its handle alone.
        optional name: Name = NFTA_CHAIN_NAME,
        /// The type of a base chain: `filter`, `nat` or `route`.
        optional chain_type: Name = NFTA_CHAIN_TYPE,
        /// What becomes of packets that come to its end: accepted or dropped. Of base chains only.
        optional policy: VerdictCode = NFTA_CHAIN_POLICY,
        /// Its place, which makes it a base chain.
        optional hook: Hook = NFTA_CHAIN_HOOK,
        /// How many packets its policy decided on.
        optional counters: Counter = NFTA_CHAIN_COUNTERS,
        /// Its properties.
        default flags: ChainFlags = NFTA_CHAIN_FLAGS,
        /// A number that names it within a transaction.
        optional id: u32 = NFTA_CHAIN_ID,
        /// The number that the kernel gave it.
        optional handle: u64 = NFTA_CHAIN_HANDLE,
        /// How many rules it has, and how many jump to it.
        optional uses: u32 = NFTA_CHAIN_USE,
        /// What programs keep with it, a comment for one: see [`userdata`](crate::userdata).
        default userdata: Vec<u8> = NFTA_CHAIN_USERDATA,
    }
}

impl Chain {
    /// A chain to jump to.
    #[must_use]
    pub fn new(family: impl Into<TableFamily>, table: Name, name: Name) -> Self {
        Self {
            family: family.into(),
            table,
            name: Some(name),
            ..Self::default()
        }
    }

    /// Makes it a base chain of a type (`filter`, `nat`, `route`).
    #[must_use]
    pub fn base(mut self, chain_type: Name, hook: Hook, policy: VerdictCode) -> Self {
        self.chain_type = Some(chain_type);
        self.hook = Some(hook);
        self.policy = Some(policy);
        self
    }
}
