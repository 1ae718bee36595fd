//! Generations: the number that goes up with every change.

use crate::model::Name;
use crate::wire::attributes;

attributes! {
    /// A generation of the rule set of a network namespace, and who made it.
    Generation: "the generation" {
        /// Its number.
        required id: u32 = NFTA_GEN_ID,
        /// The process that made it; in the answer to a request, the one that asks.
        optional pid: u32 = NFTA_GEN_PROC_PID,
        /// The name of that process.
        optional process: Name = NFTA_GEN_PROC_NAME,
    }
}
