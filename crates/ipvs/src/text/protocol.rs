//! Protocols by the names that `ipvsadm` prints.

use std::fmt;

use crate::Protocol;

/// A protocol as the tables of `ipvsadm` show it: `TCP`, `UDP`, `SCTP`, or its number.
#[derive(Clone, Copy)]
pub(crate) struct ProtocolName(pub(crate) Protocol);

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Protocol::TCP => f.pad("TCP"),
            Protocol::UDP => f.pad("UDP"),
            Protocol::SCTP => f.pad("SCTP"),
            Protocol(number) => fmt::Display::fmt(&number, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upper_case_and_others_are_numbers() {
        for (protocol, text) in [
            (Protocol::TCP, "TCP "),
            (Protocol::UDP, "UDP "),
            (Protocol::SCTP, "SCTP"),
            (Protocol::AH, "51  "),
        ] {
            assert_eq!(format!("{:<4}", ProtocolName(protocol)), text);
        }
    }
}
