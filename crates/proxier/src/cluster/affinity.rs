//! Over which ports session affinity goes.

use std::fmt;

/// What a client that stays with its endpoint (`sessionAffinity: ClientIP`) stays with it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AffinityScope {
    /// Each port by itself: at two ports a client may have two endpoints.
    EachPort,
    /// All ports of the Service together.
    AllPorts,
}

/// As the annotation has it.
impl fmt::Display for AffinityScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EachPort => "each-port",
            Self::AllPorts => "all-ports",
        })
    }
}
