//! Flowtables: connections whose packets take a short cut.

use crate::model::{Devices, Name, TableFamily};
use crate::wire::attributes;

attributes! {
    /// The place of a flowtable.
    FlowtableHook: "NFTA_FLOWTABLE_HOOK" {
        /// Where in the packet's way: ingress is 0.
        optional number: u32 = NFTA_FLOWTABLE_HOOK_NUM,
        /// Its order among the chains there.
        optional priority: i32 = NFTA_FLOWTABLE_HOOK_PRIORITY,
        /// Its devices.
        default devices: Devices = NFTA_FLOWTABLE_HOOK_DEVS,
    }
}

attributes! {
    /// Connections whose packets take a short cut.
    Flowtable: "the flowtable", #[doc = "The family of its table."] family: TableFamily {
        /// The name of its table.
        required table: Name = NFTA_FLOWTABLE_TABLE,
        /// Its name.
        required name: Name = NFTA_FLOWTABLE_NAME,
        /// Its place.
        default hook: FlowtableHook = NFTA_FLOWTABLE_HOOK,
        /// 1: carried out by the device. 2: counts.
        default flags: u32 = NFTA_FLOWTABLE_FLAGS,
        /// How many rules use it.
        optional uses: u32 = NFTA_FLOWTABLE_USE,
        /// The number that the kernel gave it.
        optional handle: u64 = NFTA_FLOWTABLE_HANDLE,
    }
}
